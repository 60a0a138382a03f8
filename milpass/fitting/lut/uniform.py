"""Entries at equal distances from the least to the greatest value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import FittedWeight, LutOptions, Terms
from milpass.fitting.large.nearest import stored
from milpass.fitting.tables.distribution import Distribution, check_finite
from milpass.fitting.tables.grouped import fit_tables
from milpass.fitting.tables.table import Entries

NBITS = "given"
DIVIDES = True


def fit(array: NDArray[Any], options: LutOptions, terms: Terms) -> FittedWeight:
    """Fit tables of equal steps, in float64 so that ranges past the dtype's own do not overflow."""
    assert options.nbits is not None
    if terms.are_plain and array.dtype == np.float32:  # unsorted: two ends are all that is asked of it
        check_finite(array)
        ends = np.float64(array.min()), np.float64(array.max())
        return stored(array, Entries(np.linspace(*ends, 1 << options.nbits)), options.nbits)
    return fit_tables(array, options.nbits, terms, _steps)


def _steps(distribution: Distribution, k: int) -> Entries:
    return Entries(np.linspace(distribution.values[0], distribution.values[-1], k))
