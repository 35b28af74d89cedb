"""Runs a claim's commands, seed by seed, and reads its figures from what they leave."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from claims.book import Book, Claim, Figure, middle, number
from rlexp import machine, system
from rlexp.errors import RunStopped, UserError, did_you_mean
from rlexp.loggers.csv import STEP, read
from rlexp.report.table import duration

# Uncommitted changes elsewhere (a page, these results) don't change what is measured.
CODE = ("rlexp/", "conf/", "scripts/", "tests/", "pyproject.toml")
PRINTED = "figures: "


def measure(
    book: Book, name: str, seeds: Sequence[int] | None, jobs: int, keep: Path | None
) -> None:
    """Measure a claim and record each run as it ends. RunStopped if a command fails."""
    claim = book.claim(name)
    wanted: Sequence[int | None] = chosen(claim, seeds) or [None]
    print(f"{name}: {claim.what} (about {duration(60 * claim.minutes)})", flush=True)
    with tempfile.TemporaryDirectory(prefix="claims-") as temporary:
        folder = (keep or Path(temporary)).resolve() / name
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(jobs) as pool:
            share = max(1, machine.cores() // jobs)
            work = [pool.submit(one, claim, seed, folder, book.root, share) for seed in wanted]
            try:
                for done in as_completed(work):
                    record = done.result()
                    book.result(name).add(record)
                    print(f"  {told(claim, record)}", flush=True)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    result = book.result(name)
    for figure in claim.figures:
        found = middle(result.values(figure.name), figure.unit)
        print(f"  {figure.what}: IQM (95 % interval) {found}; has to be {figure.bound}")


def chosen(claim: Claim, seeds: Sequence[int] | None) -> list[int]:
    for seed in seeds or []:
        if seed not in claim.seeds:
            known = ", ".join(map(str, claim.seeds)) or "none"
            raise UserError(f"{claim.name} has no seed {seed}; its seeds: {known}")
    return list(claim.seeds if seeds is None else seeds)


def told(claim: Claim, record: dict[str, Any]) -> str:
    shown = [
        f"{figure.what} {' '.join(number(v) for v in record['figures'][figure.name])}{figure.unit}"
        for figure in claim.figures
    ]
    seed = "" if record["seed"] is None else f"seed {record['seed']}: "
    return f"{seed}{'; '.join(shown)} ({duration(record['seconds'])})"


def one(claim: Claim, seed: int | None, folder: Path, root: Path, cores: int) -> dict[str, Any]:
    """The record of one run of the commands."""
    run = folder / ("run" if seed is None else f"seed_{seed}")
    load, began = os.getloadavg()[0] if hasattr(os, "getloadavg") else None, time.monotonic()
    out, passed = "", True
    may_fail = any("passes" in figure.read for figure in claim.figures)
    for command in claim.commands:
        words = argv(command, seed, run)
        out, code = call(words, root, run.with_suffix(".log"), cores)
        passed = code == 0
        # pytest ends with 1 where a test fails, with others where it could not run them.
        if code and not (may_fail and code == 1):
            place = "" if seed is None else f", seed {seed}"
            last = (run.with_suffix(".log").read_text().strip().splitlines() or ["no word"])[-1]
            raise RunStopped(
                f"{claim.name}{place}: exit code {code} of {shlex.join(words)}: {last}"
            )
    figures = {figure.name: values(figure, run, out, passed) for figure in claim.figures}
    for name, found in figures.items():
        if not all(value > -math.inf for value in found):  # NaN is not, either
            raise RunStopped(f"{claim.name}, seed {seed}: {name} is no number")
    facts = json.loads(text) if (text := read_text(run / "system.json")) else system.facts()
    in_patch = re.findall(r"^diff --git a/(\S+)", facts["git_patch"] or "", flags=re.MULTILINE)
    changed = facts.get("git_changed", in_patch)  # the patch may be cut; older runs have it alone
    return {
        "seed": seed,
        "figures": figures,
        "seconds": round(time.monotonic() - began, 1),
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": facts["git_commit"],
        "changed": any(path.startswith(CODE) for path in changed),
        "machine": this_machine(),
        "load": load,
    }


def argv(command: str, seed: int | None, run: Path) -> list[str]:
    """The words of a command of claims.yaml, for this interpreter."""
    filled = command.replace("{seed}", str(seed)).replace("{run}", shlex.quote(str(run)))
    words = shlex.split(filled)
    if words[0] == "rlexp":
        # A run that was kept and cut off goes on.
        more = ["resume=auto"] if words[1] == "train" and "{run}" in command else []
        return [sys.executable, "-m", "rlexp.cli", *words[1:], *more]
    return [sys.executable, *words[1:]] if words[0] == "python" else words


def call(words: list[str], root: Path, log: Path, cores: int) -> tuple[str, int]:
    """(standard output, exit code); everything else that it says goes to the log."""
    with open(log, "a") as errors:
        try:
            done = subprocess.run(
                words, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=root,
                env=os.environ | {"RLEXP_CORES": str(cores)},
            )  # fmt: skip
        except FileNotFoundError:
            raise RunStopped(f"no command {words[0]!r}: it is not installed") from None
        errors.write(done.stdout)
    return done.stdout, done.returncode


def read_text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def values(figure: Figure, run: Path, out: str, passed: bool) -> list[float]:
    """A figure's value of one run, or its values, where a script prints several."""
    source = figure.read
    if "passes" in source:
        return [float(passed)]
    if "printed" in source:
        return printed(out, source["printed"])
    if "json" in source:
        return [inside(json.loads(out), source["json"])]
    if "file" in source:
        found = re.search(source["pattern"], text := read_text(run / source["file"]))
        if found is None:
            raise RunStopped(f"{run / source['file']}: no {source['pattern']!r} in {text!r:.200}")
        return [float(found[1].replace(",", ""))]
    return [logged(run / "metrics.csv", source)]


def printed(out: str, name: str) -> list[float]:
    """From the lines `figures: {"name": [values], …}`."""
    lines = [line for line in out.splitlines() if line.startswith(PRINTED)]
    every: dict[str, list[float]] = {}
    for line in lines:
        every |= json.loads(line.removeprefix(PRINTED))
    if name not in every:
        raise RunStopped(f"no figure {name!r} was printed.{did_you_mean(name, every)}")
    return [float(value) for value in every[name]]


def inside(node: Any, path: str) -> float:
    """greedy.return_mean → node["greedy"]["return_mean"]."""
    for part in path.split("."):
        if not isinstance(node, dict) or part not in node:
            raise RunStopped(f"no {path!r} in the JSON.{did_you_mean(part, node)}")
        node = node[part]
    if not isinstance(node, int | float):
        raise RunStopped(f"{path!r} in the JSON is no number: {node!r}")
    return float(node)


def logged(path: Path, source: Any) -> float:
    """The last value of a metric; or the steps or seconds until it reached one."""
    name, goal = source["metric"], source.get("reaches")
    columns, rows = read(path)
    if name not in columns:
        raise RunStopped(f"the run has not logged {name!r}.{did_you_mean(name, columns)}")
    rows = [row for row in rows if row[name]]
    if not rows:
        raise RunStopped(f"the run has logged no value of {name!r}")
    if goal is None:
        return float(rows[-1][name])
    for row in rows:
        if float(row[name]) >= goal:
            return float(row[STEP if source["in"] == "steps" else "time/elapsed_s"])
    return float("inf")


def this_machine() -> dict[str, Any]:
    """What a reader has to know to judge a figure."""
    facts = system.facts()
    model = re.search(r"^model name\s*: (.+)$", read_text(Path("/proc/cpuinfo")), re.MULTILINE)
    gpu = None
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        done = subprocess.run(asked, capture_output=True, text=True)
        gpu = done.stdout.strip().replace("\n", ", ") or None
    return {
        "processor": model[1] if model else facts["processor"],
        "cores": facts["cores"],
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "gpu": gpu,
        "system": sys.platform,
        "python": facts["python"].rpartition(".")[0],
        "torch": version("torch"),
    }
