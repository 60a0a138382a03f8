"""Whole numbers between the least and the greatest value of each group, with a zero point or a bias."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.finding import Finding, Unusable
from milpass.fitting.fitted import AffineOptions, FittedWeight, Terms
from milpass.fitting.numbers.biased import fit_biased
from milpass.fitting.numbers.quantization import Grid, spanning
from milpass.fitting.numbers.ranges import fit_grid, grid_again, searches

__all__ = ["NBITS", "again", "fit", "searches"]

NBITS = "given"


def fit(array: NDArray[Any], options: AffineOptions, terms: Terms) -> FittedWeight:
    """Fit a scale and a zero point to each group, so that zero stays exactly zero; or a scale and a bias."""
    if terms.has_biases:
        return fit_biased(array, options, terms)
    return fit_grid(array, options, terms, _grid)


def again(array: NDArray[Any], options: AffineOptions, terms: Terms, finding: Finding) -> FittedWeight:
    """The fit from its scales and zero points; raises `Unusable` for those of something else."""
    if terms.has_biases:
        raise Unusable("zero points, where biases are wanted: these are found anew")
    return grid_again(array, options, terms, _grid, finding)


def _grid(
    least: NDArray[np.float64], greatest: NDArray[np.float64], low: int, high: int, dtype: np.dtype[Any]
) -> Grid:
    least, greatest = np.minimum(least, 0), np.maximum(greatest, 0)
    scales = spanning(greatest - least, high - low, dtype)
    return Grid(dtype, low, high, scales, np.clip(low - np.rint(least / scales), low, high))
