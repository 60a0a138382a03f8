"""`python -m tests.conformance`: whether tests of coremltools' functions pass with ours in their place."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from .comparison import assumed, compare
from .exceptions import known_exceptions
from .running import run
from .texts import differences, table


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--only", metavar="GLOB", action="append", default=[], help="tests, `file.py::name`")
    parser.add_argument(
        "--ours-only", action="store_true", help="take for granted that coremltools passes all"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="outcomes, seconds and traces of both runs")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    start = time.perf_counter()
    sides = ["ours"] if given.ours_only else ["theirs", "ours"]
    results = run(sides, given.only, told=lambda line: print(line, file=sys.stderr, flush=True))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))
    theirs = assumed(results["ours"]) if given.ours_only else results["theirs"]
    if not theirs:
        print("no test is chosen")
        return 1
    found = compare(theirs, results["ours"], known_exceptions(), whole=not given.only)
    print(*differences(found), *table(found), sep="\n")
    print(f"{time.perf_counter() - start:.0f} s")
    return 0 if found.agrees else 1


if __name__ == "__main__":
    sys.exit(main())
