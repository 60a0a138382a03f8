"""`python -m benchmarks.plot RESULTS.json OUT.svg`: the curves of the benchmark `scaling`."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

AXES = {
    "weights": "elements of one fp16 weight, 4 bits",
    "entries": "entries of the table, 4M weights",
    "groups": "groups of 0.8M weights, 4 bits",
    "operations": "operations of 48 x 48 weights",
}
LINES = {"ours": "milpass", "peer": "coremltools", "floor": "copy"}


def main(results: Path, out: Path) -> None:
    """Draw a panel for each axis: medians, both scales logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "milpass"  # the same file for the same figures
    from matplotlib import pyplot

    found = json.loads(results.read_text())
    rows = [row for row in found["rows"] if row["point"]]
    figure, panels = pyplot.subplots(1, len(AXES), figsize=(15, 3.6), layout="constrained")
    for panel, (axis, label) in zip(panels, AXES.items(), strict=True):
        _draw(panel, [row for row in rows if row["point"][0] == axis])
        panel.set(xscale="log", yscale="log", xlabel=label)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("seconds")
    panels[0].legend()
    machine = found["machine"]
    figure.suptitle(f"{machine['processor']}, coremltools {machine['coremltools']}", fontsize=9)
    figure.savefig(out, metadata={"Date": None})


def _draw(panel: Any, rows: list[dict[str, Any]]) -> None:
    for key, name in LINES.items():
        points = [(row["point"][1], statistics.median(row[key])) for row in rows if row[key]]
        panel.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
