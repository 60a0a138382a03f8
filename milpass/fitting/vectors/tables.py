"""Tables of vectors: an index stands for several neighbours along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.fitted import FittedWeight, Quality, Terms
from milpass.fitting.rows import widened
from milpass.fitting.tables.distribution import check_finite
from milpass.fitting.tables.grouped import blocks
from milpass.fitting.vectors.clustering import cluster_vectors, nearest

# Where the search for centres starts from: the same result for the same weight.
SEED = 0


def fit_vector_tables(array: NDArray[Any], nbits: int, length: int, terms: Terms) -> FittedWeight:
    """Tables of at most 2**nbits vectors along `terms.vector_axis`, one for each group; fp16 or fp32.

    The stored vectors are rounded to the weight's type, and each vector gets the nearest of them.
    """
    check_finite(array)
    axis = terms.vector_axis
    assert axis is not None
    apart = _apart(array, axis, length)
    shape = apart.shape[:-1]
    tables = np.zeros((*terms.groups, 1 << nbits, length), array.dtype)
    indices, qualities = np.zeros(shape, np.uint8), []
    for place, block in blocks(shape, terms.groups):
        vectors = widened(np.ascontiguousarray(apart[block]).reshape(-1, length))
        stored = cluster_vectors(vectors, 1 << nbits, seed=SEED).centres.astype(array.dtype)
        tables[place] = stored[np.minimum(np.arange(1 << nbits), len(stored) - 1)]
        found, squared, greatest = nearest(vectors, stored.astype(np.float64))
        indices[block] = found.reshape(indices[block].shape)
        signal = float(np.square(vectors, dtype=np.float64).sum())
        qualities.append(Quality(squared, greatest, signal))
    lut = Lut(Indices.of(indices, nbits), Dense(tables), axis)
    return FittedWeight(lut, Quality.total(qualities))


def _apart(array: NDArray[Any], axis: int, length: int) -> NDArray[Any]:
    """The weight with the elements of each vector along a last axis of their own."""
    lengths = array.shape
    split = array.reshape(*lengths[:axis], lengths[axis] // length, length, *lengths[axis + 1 :])
    return np.moveaxis(split, axis + 1, -1)
