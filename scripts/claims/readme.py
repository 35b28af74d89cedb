"""README's tables, written from what was measured; and whether README is that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from claims.book import Book, Claim, Result, middle, number
from rlexp.errors import UserError
from rlexp.report.table import age, lines
from rlexp.run_dir import write_text

BEGIN, END = "<!-- claims: written by scripts/claims -->", "<!-- claims end -->"
HEAD = ("claim", "figure", "IQM (95 % interval)", "runs", "has to be", "measured")
SECTION = "## Numbers"
FEW = 5  # so many runs are shown one by one


def write(book: Book) -> None:
    """Put the tables between README's markers."""
    text = page_of(book)
    fresh = replaced(text, tables(book))
    if fresh != text:
        write_text(book.root / "README.md", fresh)


def page_of(book: Book) -> str:
    try:
        return (book.root / "README.md").read_text()
    except OSError as ex:
        raise UserError(f"can't read {book.root / 'README.md'}: {ex.strerror}") from None


def replaced(text: str, tables: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"README.md has no {BEGIN} … {END}: nowhere to put the tables")
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def tables(book: Book) -> str:
    """A table a group; then what the machines' letters mean, and what was never measured."""
    machines: list[str] = []
    groups: dict[str, list[str]] = {}
    never = []
    for name, claim in book.claims.items():
        found = list(rows(claim, book.result(name), machines))
        groups.setdefault(claim.group, []).extend(found)
        if not found:
            never.append(f"`{name}`")
    parts = []
    for group, told in groups.items():
        if told:
            parts += [f"**{group}**", "", row(HEAD), row(["---"] * len(HEAD)), *told, ""]
    for i, about in enumerate(machines):
        parts += [f"Machine {letter(i)}: {about}.", ""]
    if never:
        parts += [f"Never measured by `scripts/claims`: {', '.join(never)}.", ""]
    return "\n".join(parts)


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def rows(claim: Claim, result: Result, machines: list[str]) -> Iterator[str]:
    """One a figure; none where nothing is known."""
    earlier = claim.earlier or {"figures": {}, "from": ""}
    for i, figure in enumerate(claim.figures):
        values, to_come, words = result.values(figure.name), len(result.missing), ""
        if values:
            made = measured(result, machines)
        else:
            told, to_come = earlier["figures"].get(figure.name), 0
            if told is None:
                continue
            values = told if isinstance(told, list) else []
            words = str(told)
            made = page(earlier["from"])
        name, what = (f"`{claim.name}`", claim.what) if i == 0 else ("", "…")
        if len(claim.figures) > 1:
            what = f"{what}: {figure.what}"
        if "passes" in figure.read:
            passed = f"{sum(map(bool, values))} of {len(values)} pass"
            yield row([name, what, "-", passed, figure.bound, made])
            continue
        if values:
            words = middle(values, figure.unit)
        runs = shown(values, to_come) if values else "-"
        yield row([name, what, words, runs, figure.bound, made])


def page(source: str) -> str:
    """Where an earlier figure stands: a link, if it is a page."""
    name = source.rpartition("/")[2]
    return f"[{name}]({source})" if source.endswith(".md") else source


def shown(values: Sequence[float], to_come: int) -> str:
    few = " ".join(map(number, values))
    many = f"{len(values)}: {number(min(values))} … {number(max(values))}"
    more = f" ({to_come} to come)" if to_come else ""
    return (few if len(values) <= FEW else many) + more


def measured(result: Result, machines: list[str]) -> str:
    """On which machine, from which commit (+ with uncommitted changes), when last."""
    made: dict[str, None] = {}
    for record in result.records:
        about = described(record["machine"])
        if about not in machines:
            machines.append(about)
        commit = (record["commit"] or "no commit")[:7] + "+" * record["changed"]
        cores = record["machine"]["cores"]
        # A training comes to the same beside other work, a benchmark does not.
        busy = not result.claim.seeds and (record["load"] or 0) >= cores
        made[f"{letter(machines.index(about))}{' (busy)' * busy}, {commit}"] = None
    when = max((record["date"][:10] for record in result.records), default="")
    return f"{'; '.join(made)}, {when}"


def letter(place: int) -> str:
    return chr(ord("A") + place)


def described(machine: dict[str, Any]) -> str:
    gpu = machine["gpu"] or "no GPU"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {gpu}; "
        f"{machine['system']}, Python {machine['python']}, PyTorch {machine['torch']}"
    )


def listed(book: Book) -> list[str]:
    """The table of `scripts/claims` without names."""
    head = ("claim", "state", "age", "commit", "takes", "what")
    found = []
    for name, claim in book.claims.items():
        result = book.result(name)
        newest = max(result.records, key=lambda r: r["date"], default=None)
        since = datetime.fromisoformat(newest["date"]).timestamp() if newest else 0
        commit = ((newest["commit"] or "")[:7] or "-") if newest else "-"
        takes = f"{claim.minutes:g} min"
        found.append([name, state(claim, result), age(since), commit, takes, claim.what])
    return lines(head, found, left=("claim", "state"))


def state(claim: Claim, result: Result) -> str:
    if not result.records:
        return "never run" if claim.earlier is None else "earlier"
    if result.stale:
        return "other commands"
    if claim.untrue(result):
        return "UNTRUE"
    total = len(claim.seeds)
    return f"{total - len(result.missing)} of {total} seeds" if result.missing else "held"


def unmeasured(book: Book) -> list[str]:
    """What no run, or not every run of today's commands has shown yet: to know, no failure."""
    found = []
    for name, claim in book.claims.items():
        result = book.result(name)
        if not result.records or result.missing:
            found.append(f"not measured: {name} ({state(claim, result)})")
    if found:
        found.append(f"{len(found)} of {len(book.claims)} claims are not measured, or not wholly")
    return found


def problems(book: Book) -> list[str]:
    """What is wrong between claims.yaml, the results and README; each in one line."""
    found = []
    text = page_of(book)
    if replaced(text, tables(book)) != text:
        found.append("README.md's tables are not what was measured: scripts/claims --table")
    for name, claim in book.claims.items():
        result = book.result(name)
        if result.stale:
            found.append(f"{name} was measured by other commands than it has now: measure it anew")
        found += claim.untrue(result)
    for path in sorted(book.results.glob("*.json")):
        if path.stem not in book.claims:
            found.append(f"{path.name} is of no claim of {book.path.name}")
    return found + unclaimed(book, text)


def unclaimed(book: Book, text: str) -> list[str]:
    """Figures of README that no entry of claims.yaml backs."""
    found = []
    _, _, numbers = text.partition(f"\n{SECTION}\n")
    numbers = numbers.partition("\n## ")[0]
    by_hand = numbers.partition(BEGIN)[0] + numbers.partition(END)[2]
    for line in by_hand.splitlines():
        names = set(re.findall(r"`([^`]+)`", line))
        if re.search(r"\d", line.replace("95 %", "")) and not names & set(book.claims):
            found.append(f"README.md, {SECTION[3:]}: no claim is named beside {line!r}")
    claimed: set[str] = set().union(*(claim.presets for claim in book.claims.values()))
    table = text.partition("\n| preset |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        names_cell, _, expect = line.strip("| ").partition(" | ")
        presets = re.findall(r"`([^`]+)`", names_cell)
        if re.search(r"\d", re.sub(r"`[^`]+`", "", expect)) and not set(presets) <= claimed:
            missing = " ".join(p for p in presets if p not in claimed)
            found.append(f"README.md gives figures in a row with {missing}: no claim runs that")
    return found
