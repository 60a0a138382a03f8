"""`python -m benchmarks`: runs what is named, or the common ones, and prints one table."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import (
    conversion,
    dropin,
    fit,
    formats,
    limits,
    machine,
    memory,
    models,
    networks,
    optimum,
    process,
    ranges,
    scaling,
    startup,
    work,
)
from benchmarks.rows import Row, markdown

BENCHMARKS: dict[str, Callable[[bool, Path], Iterator[Row]]] = {
    "fit": fit.rows,
    "process": process.rows,
    "startup": startup.rows,
    "optimum": optimum.rows,
    "formats": formats.rows,
    "limits": limits.rows,
    "ranges": ranges.rows,
    "large": process.large_rows,
    "scaling": scaling.rows,
    "conversion": conversion.rows,
    "dropin": dropin.rows,
    "work": work.rows,
    "networks": networks.rows,
    "memory": memory.rows,
}
# Those that run where none is named: minutes, not tens of minutes.
COMMON = ("fit", "process", "startup", "optimum")


def main() -> int:
    """Run, print, and give 0 where every target is reached, else 1."""
    options = _options()
    with models.model_folder(options.models) as folder:
        rows = list(_results(options.names or COMMON, options.quick, folder))
    described = machine.description()
    print("\n".join(f"- {what}: {value}" for what, value in described.items()))
    print(f"\n{markdown(rows)}")
    if options.json:
        records = [{"benchmark": name, **row.record()} for name, row in rows]
        options.json.write_text(json.dumps({"machine": described, "rows": records}, indent=1) + "\n")
    return int(any(row.reached is False for _, row in rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"from {', '.join(BENCHMARKS)}; default: {', '.join(COMMON)}"
    )
    parser.add_argument("--quick", action="store_true", help="few runs, fewer cases: within a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single run")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="keep the packages here for next time")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}: choose from {', '.join(BENCHMARKS)}")
    return options


def _results(names: Sequence[str], quick: bool, folder: Path) -> Iterator[tuple[str, Row]]:
    """The rows of each benchmark as they are found, told on standard error."""
    start = time.perf_counter()
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        for row in BENCHMARKS[name](quick, folder):
            told = ", ".join(cell for cell in row.cells()[1:] if cell)
            print(f"  {time.perf_counter() - start:4.0f} s  {row.what}: {told}", file=sys.stderr)
            yield name, row


if __name__ == "__main__":
    sys.exit(main())
