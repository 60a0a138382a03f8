"""Whole numbers between the least and the greatest value of each group, with a zero point or a bias."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import AffineOptions, FittedWeight, Terms
from milpass.fitting.numbers.biased import fit_biased
from milpass.fitting.numbers.quantization import Grid, spanning
from milpass.fitting.numbers.ranges import fit_grid

NBITS = "given"


def fit(array: NDArray[Any], options: AffineOptions, terms: Terms) -> FittedWeight:
    """Fit a scale and a zero point to each group, so that zero stays exactly zero; or a scale and a bias."""
    if terms.has_biases:
        return fit_biased(array, options, terms)
    return fit_grid(array, options, terms, _grid)


def _grid(
    least: NDArray[np.float64], greatest: NDArray[np.float64], low: int, high: int, dtype: np.dtype[Any]
) -> Grid:
    least, greatest = np.minimum(least, 0), np.maximum(greatest, 0)
    scales = spanning(greatest - least, high - low, dtype)
    return Grid(dtype, low, high, scales, np.clip(low - np.rint(least / scales), low, high))
