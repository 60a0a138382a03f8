"""Magnitudes of at most a threshold become zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import FittedWeight, NotFittable, PruningOptions, Terms
from milpass.fitting.pruning import pruned
from milpass.fitting.tables.distribution import check_finite

NBITS = "found"


def fit(array: NDArray[Any], options: PruningOptions, terms: Terms) -> FittedWeight:
    """Prune the elements whose magnitude is at most `threshold`; refuse where they are too few."""
    assert options.threshold is not None
    check_finite(array)
    kept = np.abs(array).astype(np.float64) > options.threshold
    zeros = array.size - int(np.count_nonzero(kept))
    if zeros / array.size < options.minimum_sparsity:
        raise NotFittable(
            f"{zeros} of {array.size} elements would be zero, fewer than {100 * options.minimum_sparsity:g}%"
        )
    return pruned(array, kept)
