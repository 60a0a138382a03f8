"""One answer of a benchmark, and a table of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from benchmarks.timing import Samples

HEADINGS = ("benchmark", "what", "milpass", "coremltools", "floor", "ratio", "target", "reached")


@frozen
class Target:
    """What a ratio, or where there is none our own figure, must reach."""

    text: str
    met: Callable[[float], bool]


def at_least(times: float) -> Target:
    return Target(f">= {times:g} x", lambda ratio: ratio >= times)


def more_than(times: float) -> Target:
    return Target(f"> {times:g} x", lambda ratio: ratio > times)


def at_most(bound: float) -> Target:
    return Target(f"<= {bound:g}", lambda figure: abs(figure) <= bound)


@frozen
class Row:
    """Ours, the peer's and the floor's figures in one unit; ratio: how many times less ours are.

    `point` is where the row stands on a curve: the axis' name and the place on it.
    """

    what: str
    unit: str
    ours: Samples
    peer: Samples | None = None
    floor: Samples | None = None
    ratio: Samples | None = None
    target: Target | None = None
    point: tuple[str, float] | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the median meets the target; None without one."""
        judged = self.ratio or self.ours
        return self.target.met(judged.median) if self.target else None

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of HEADINGS without the benchmark's name."""
        figures = (_figures(samples, self.unit) for samples in (self.ours, self.peer, self.floor))
        verdict = {True: "yes", False: "NO", None: ""}[self.reached]
        target = self.target.text if self.target else ""
        return (self.what, *figures, _figures(self.ratio, "x"), target, verdict)

    def record(self) -> dict[str, Any]:
        """The row for JSON: every run, not only the medians."""
        named = {"ours": self.ours, "peer": self.peer, "floor": self.floor, "ratio": self.ratio}
        figures = {name: list(samples.values) if samples else None for name, samples in named.items()}
        target = self.target.text if self.target else None
        return {
            "what": self.what,
            "unit": self.unit,
            **figures,
            "target": target,
            "point": self.point,
            "reached": self.reached,
        }


FORMATS: dict[str, Callable[[float], str]] = {
    "s": lambda figure: f"{figure:.3g} s" if figure >= 1 else f"{figure * 1000:.3g} ms",
    "MB": lambda figure: f"{figure:.0f} MB",
    "x": lambda figure: f"{figure:.3g} x",
    "share": lambda figure: f"{figure:.4g}",
    "excess": lambda figure: f"{figure:+.2e}",
}


def _figures(samples: Samples | None, unit: str) -> str:
    """The median, and after more than one run the least and the greatest."""
    if samples is None:
        return ""
    shown = FORMATS[unit]
    if len(samples.values) == 1:
        return shown(samples.median)
    return f"{shown(samples.median)} ({shown(samples.least)} to {shown(samples.greatest)})"


def markdown(rows: Sequence[tuple[str, Row]]) -> str:
    """The table of rows, each with its benchmark's name."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *((name, *row.cells()) for name, row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
