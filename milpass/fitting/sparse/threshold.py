"""Magnitudes below a threshold become zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import FittedWeight, PruningOptions, Terms
from milpass.fitting.pruning import pruned
from milpass.fitting.tables.distribution import check_finite

NBITS = "found"


def fit(array: NDArray[Any], options: PruningOptions, terms: Terms) -> FittedWeight:
    """Prune the elements whose magnitude is less than `threshold`."""
    assert options.threshold is not None
    check_finite(array)
    return pruned(array, np.abs(array).astype(np.float64) >= options.threshold)
