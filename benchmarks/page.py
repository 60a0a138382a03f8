"""`python -m benchmarks.page RESULTS.json`: docs/performance.md and its plots from what was measured."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks import plot
from benchmarks.rows import FORMATS

DOCS = Path(__file__).parents[1] / "docs"
HEADER = """# Performance

Made by `make performance` from [the benchmarks](../benchmarks/README.md), which say how each row is
measured: medians, ours and coremltools' runs taken in turn; the ratio is the median of the pairs'. A
target that was missed says so. MILPASS_MODELS names a folder of further trained models.

{machine}

{table}

![Time against elements, entries, groups and operations](scaling.svg)

Squared errors are shares of the weight's sum of squares, of what is stored; tables of scalars are
proven to be the best before they are rounded (`optimum`, `bound` and `ways` of each row of a plan).
"""
HEADINGS = ("what", "milpass", "coremltools", "floor", "ratio", "target")


def main(results: Path) -> None:
    """Write both files."""
    found = json.loads(results.read_text())
    machine = "\n".join(f"- {what}: {value}" for what, value in found["machine"].items())
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(_line, found["rows"])]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    (DOCS / "performance.md").write_text(HEADER.format(machine=machine, table=table))
    plot.main(results, DOCS / "scaling.svg")


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    cells = (_figure(row[key], row["unit"]) for key in ("ours", "peer", "floor"))
    target = row["target"] or ""
    missed = " missed" if row["reached"] is False else ""
    return (row["what"], *cells, _figure(row["ratio"], "x"), target + missed)


def _figure(values: list[float] | None, unit: str) -> str:
    return FORMATS[unit](statistics.median(values)) if values else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
