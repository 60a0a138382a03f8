"""What `range="mse"` saves of the squared error, on the weights of packages that somebody trained."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import Row, at_least
from benchmarks.timing import Samples
from milpass import Pipeline, fit_affine, replace_const_with_affine, select_weights
from milpass.errors import MilpassError
from milpass.pipeline import apply

EXAMPLE = Path(__file__).parents[1] / "examples" / "digits.mlpackage"


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """Each package: the example, and those below the folder that MILPASS_MODELS names."""
    further = os.environ.get("MILPASS_MODELS")
    for package in [EXAMPLE, *sorted(Path(further).rglob("*.mlpackage") if further else [])]:
        try:
            shares = [_share(package, span, folder) for span in ("mse", "minmax")]
        except MilpassError:
            continue
        mine, whole = (Samples((share,)) for share in shares)
        what = f"{package.stem}, 4 bits symmetric per channel: error of minmax over mse"
        yield Row(what, "share", mine, whole, ratio=whole.over(mine), target=at_least(1.1))


def _share(package: Path, span: str, folder: Path) -> float:
    """The squared error of all weights together."""
    fit = fit_affine(mode="linear_symmetric", nbits=4, range=span)
    pipeline = Pipeline(select_weights(threshold=512), fit, replace_const_with_affine())
    _, plan = apply(pipeline, package, folder / "ranges.mlpackage", target="iOS18", overwrite=True)
    return sum(row.entry.result.squared_error for row in plan.replaced if row.entry.result)  # type: ignore[union-attr]
