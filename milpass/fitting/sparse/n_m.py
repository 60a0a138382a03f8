"""Of every m neighbours along the input channels the n smallest magnitudes become zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import FittedWeight, PruningOptions, Terms
from milpass.fitting.pruning import pruned, smallest
from milpass.fitting.rows import joined, split
from milpass.fitting.tables.distribution import check_finite

NBITS = "found"


def fit(array: NDArray[Any], options: PruningOptions, terms: Terms) -> FittedWeight:
    """Prune n of each group of m; of equal magnitudes the first ones."""
    assert options.n_m is not None
    check_finite(array)
    kept = ~smallest(split(np.abs(array), terms.groups), options.n_m[0])
    return pruned(array, joined(kept, array.shape, terms.groups))
