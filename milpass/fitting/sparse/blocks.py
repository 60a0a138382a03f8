"""Blocks of neighbouring channels become zero together, those of the smallest norms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.fitting.fitted import FittedWeight, PruningOptions, Terms
from milpass.fitting.pruning import axis_of, pruned
from milpass.fitting.tables.distribution import check_finite

NBITS = "found"


def fit(array: NDArray[Any], options: PruningOptions, terms: Terms) -> FittedWeight:
    """Prune whole blocks in the order of their L2 norms, at most the share `sparsity` of the elements.

    Of equal norms the first block goes first; the last block along an axis may be shorter.
    """
    assert options.sparsity is not None and options.block_size is not None
    check_finite(array)
    axis, size = axis_of(array.shape, terms.groups), options.block_size
    starts = np.arange(0, array.shape[axis], size)
    norms = np.add.reduceat(np.square(array, dtype=np.float64), starts, axis=axis)  # squared: the same order
    lengths = np.diff(starts, append=array.shape[axis]).reshape(-1, *(1,) * (array.ndim - axis - 1))
    order = np.argsort(norms, axis=None, kind="stable")
    taken = np.cumsum(np.broadcast_to(lengths, norms.shape).reshape(-1)[order])
    kept = np.ones(norms.size, np.bool_)
    kept[order[taken <= int(array.size * options.sparsity)]] = False
    spread = np.repeat(kept.reshape(norms.shape), size, axis=axis)
    return pruned(array, spread.take(np.arange(array.shape[axis]), axis=axis))
