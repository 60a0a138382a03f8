"""Whole numbers about zero for layers of neural networks that round their input to whole numbers, too."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from milpass.fitting.affine.linear_symmetric import grid
from milpass.fitting.fitted import AffineOptions, FittedWeight, Terms
from milpass.fitting.numbers.ranges import Options, fit_grid

NBITS = "given"


def fit(array: NDArray[Any], options: AffineOptions, terms: Terms) -> FittedWeight:
    """Fit one scale and no zero point: each number is the nearest, from -127 to 127.

    What rounding a layer's input costs is no part of the error that is told.
    """
    return fit_grid(array, Options.of(options, signed=True), terms, grid)
