"""The smallest magnitudes become zero, as many as asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import FittedWeight, PruningOptions, Terms
from milpass.fitting.pruning import Cut, pruned, pruned_in_parts
from milpass.fitting.tables.distribution import check_finite

NBITS = "found"


def fit(array: NDArray[Any], options: PruningOptions, terms: Terms) -> FittedWeight:
    """Prune the share `sparsity` of the elements, rounded down; of equal magnitudes the first ones."""
    assert options.sparsity is not None
    check_finite(array)
    count = int(array.size * options.sparsity)
    if count in (0, array.size):
        return pruned(array, np.full(array.shape, count == 0))
    return pruned_in_parts(array, Cut.of(np.ascontiguousarray(array).reshape(-1), count).kept())
