"""Whole numbers about zero, as far as the greatest magnitude of each group; no zero point to choose."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.finding import Finding, Unusable
from milpass.fitting.fitted import AffineOptions, FittedWeight, Terms
from milpass.fitting.numbers.biased import with_bias
from milpass.fitting.numbers.quantization import Grid, spanning
from milpass.fitting.numbers.ranges import Options, fit_grid, grid_again, searches

__all__ = ["NBITS", "again", "fit", "searches"]

NBITS = "given"


def fit(array: NDArray[Any], options: AffineOptions, terms: Terms) -> FittedWeight:
    """Fit a scale to each group; the lowest code is left out, so that both signs reach as far."""
    if terms.has_biases:
        return with_bias(array, fit_grid(array, Options.of(options, signed=False), terms, grid))
    return fit_grid(array, options, terms, grid)


def again(array: NDArray[Any], options: AffineOptions, terms: Terms, finding: Finding) -> FittedWeight:
    """The fit from its scales and zero points; raises `Unusable` for those of something else."""
    if terms.has_biases:
        raise Unusable("zero points, where biases are wanted: these are found anew")
    return grid_again(array, options, terms, grid, finding)


def grid(
    least: NDArray[np.float64], greatest: NDArray[np.float64], low: int, high: int, dtype: np.dtype[Any]
) -> Grid:
    """Steps about zero, as far as the greatest magnitude of each row."""
    reach = (high - low) // 2
    zeros = np.full(least.shape, float(high - reach))
    scales = spanning(np.maximum(np.abs(least), np.abs(greatest)), reach, dtype)
    return Grid(dtype, high - 2 * reach, high, scales, zeros)
