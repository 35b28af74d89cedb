"""Lists README's claims, measures chosen ones anew, and writes its tables (docs/claims.md).

uv run scripts/claims                    # all of them, and in which state each is
uv run scripts/claims cartpole_ppo line  # measure these; exit code 1 if one is untrue
uv run scripts/claims --table            # write README's tables from what was measured
uv run scripts/claims --check            # is README what was measured? measures nothing
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str] | None = None) -> int:
    from claims import measure, readme
    from claims.book import Book
    from rlexp.errors import RunStopped, UserError

    arguments = parse(argv)
    try:
        book = Book(arguments.book)
        if arguments.check:
            print("".join(f"{line}\n" for line in readme.unmeasured(book)), end="")
            return told(readme.problems(book))
        names = arguments.names
        for name in names:
            book.claim(name)  # all of them are known before the first is measured
        if arguments.seeds is not None and len(names) != 1:
            raise UserError("--seeds goes with one claim")
        if not names and not arguments.table:
            print("\n".join(readme.listed(book)), flush=True)
            return 0
        try:
            for name in names:
                measure.measure(book, name, arguments.seeds, arguments.jobs, arguments.keep)
        finally:
            readme.write(book)  # what was measured before an error, too
        return told([why for n in names for why in book.claim(n).untrue(book.result(n))])
    except UserError as ex:
        print(f"claims: {ex}", file=sys.stderr)
        return 2
    except RunStopped as ex:
        return told([str(ex)])
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has read enough; nothing more is to be said at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def told(problems: Sequence[str]) -> int:
    """Exit code: 1 if there are any."""
    for problem in problems:
        print(f"claims: {problem}", file=sys.stderr)
    return int(bool(problems))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/claims", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="claims to measure anew")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time (1; not for speeds)")
    parser.add_argument("--seeds", type=int, nargs="+", help="only these of one claim's seeds")
    parser.add_argument(
        "--keep", type=Path, help="a folder where runs stay: cut off, they go on from there"
    )
    parser.add_argument("--table", action="store_true", help="write README's tables")
    parser.add_argument("--check", action="store_true", help="is README what was measured?")
    parser.add_argument("--book", type=Path, default=HERE / "benchmarks/claims.yaml",
                        help="claims.yaml; results/ lies beside it, README.md above")  # fmt: skip
    found = parser.parse_args(argv)
    if found.jobs < 1:
        parser.error("--jobs must be at least 1")
    return found


if __name__ == "__main__":
    # Run as a folder: what imports as `claims` elsewhere has to here, too.
    sys.path[0] = str(HERE / "scripts")
    sys.exit(main())
