"""`python -m tests.fuzzing --minutes 10 [--seed N]`, or `--case SEED:NUMBER` for one case again."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.fuzzing.cases import Case
from tests.fuzzing.running import Report, limited, run


def main() -> int:
    """Run, print the report, and give 1 where a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", default=str(random.randrange(10**6)), help="what all cases follow from")
    parser.add_argument("--case", help="one case again, as a failure names it; its traceback is shown")
    options = parser.parse_args()
    if options.case:
        with tempfile.TemporaryDirectory(prefix="milpass-fuzzing-") as name, limited():
            print(Case(options.case).outcome(Path(name)))
        return 0
    report = run(options.seed, 60 * options.minutes, told=_progress)
    print(report)
    return 1 if report.failures else 0


def _progress(report: Report) -> None:
    total = report.outcomes.total()
    if sys.stderr.isatty() and total % 10 == 0:
        print(f"\r{total:,} cases, {len(report.failures)} failed", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
