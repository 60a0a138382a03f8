"""Magnitudes of at most a threshold become zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import FittedWeight, NotFittable, PruningOptions, Terms
from milpass.fitting.pruning import COUNTED, pruned_in_parts
from milpass.fitting.tables.distribution import check_finite
from milpass.paging import in_parts

NBITS = "found"


def fit(array: NDArray[Any], options: PruningOptions, terms: Terms) -> FittedWeight:
    """Prune the elements whose magnitude is at most `threshold`; refuse where they are too few."""
    assert options.threshold is not None
    check_finite(array)
    flat, most = np.ascontiguousarray(array).reshape(-1), options.threshold
    zeros = array.size - sum(int(np.count_nonzero(_exceed(part, most))) for part in in_parts(flat, COUNTED))
    if zeros / array.size < options.minimum_sparsity:
        raise NotFittable(
            f"{zeros} of {array.size} elements would be zero, fewer than {100 * options.minimum_sparsity:g}%"
        )
    return pruned_in_parts(array, lambda start, part: _exceed(part, most))


def _exceed(part: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.abs(part).astype(np.float64) > threshold
    return found
