"""Entries at equal distances from the least to the greatest value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.distribution import Distribution
from milpass.fitting.fitted import FittedWeight, LutOptions
from milpass.fitting.table import palettized

NBITS = "given"


def fit(array: NDArray[Any], options: LutOptions, legal_nbits: Sequence[int]) -> FittedWeight:
    """Fit a table of equal steps, in float64 so that ranges past the dtype's own do not overflow."""
    assert options.nbits is not None
    distribution = Distribution.of(array)
    low, high = distribution.values[0], distribution.values[-1]
    entries = np.linspace(low, high, 1 << options.nbits)
    return palettized(array, distribution, entries, options.nbits)
