"""Of every m neighbouring channels the n smallest magnitudes become zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import FittedWeight, PruningOptions, Terms
from milpass.fitting.pruning import axis_of, pruned, smallest
from milpass.fitting.tables.distribution import check_finite

NBITS = "found"


def fit(array: NDArray[Any], options: PruningOptions, terms: Terms) -> FittedWeight:
    """Prune n of each m neighbours; of equal magnitudes the first ones.

    Where m does not divide the channels, zeros are thought behind the last ones: they go first.
    """
    assert options.n_m is not None
    n, m = options.n_m
    check_finite(array)
    axis = axis_of(array.shape, terms.groups)
    magnitudes = np.moveaxis(np.abs(array), axis, -1)
    missing = terms.groups[axis] * m - array.shape[axis]
    whole = np.pad(magnitudes, [(0, 0)] * (array.ndim - 1) + [(0, missing)])
    gone = smallest(np.ascontiguousarray(whole).reshape(-1, m), n).reshape(whole.shape)
    kept = ~gone[..., : array.shape[axis]]
    return pruned(array, np.moveaxis(kept, -1, axis))
