"""Tables of vectors: an index stands for several neighbours along one axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.finding import Finding, Unusable, check_parameters
from milpass.fitting.fitted import FittedWeight, Quality, Terms
from milpass.fitting.rows import widened
from milpass.fitting.tables.distribution import check_finite
from milpass.fitting.tables.grouped import Place, blocks
from milpass.fitting.vectors.clustering import cluster_vectors, nearest

# Where the search for centres starts from: the same result for the same weight.
SEED = 0

# A group's place and its vectors (n, d) -> the vectors to store, in the weight's type
_Centres: TypeAlias = Callable[[Place, "NDArray[np.float32]"], "NDArray[Any]"]


def fit_vector_tables(array: NDArray[Any], nbits: int, length: int, terms: Terms) -> FittedWeight:
    """Tables of at most 2**nbits vectors along `terms.vector_axis`, one for each group; fp16 or fp32.

    The stored vectors are rounded to the weight's type, and each vector gets the nearest of them.
    """
    check_finite(array)

    def centres(place: Place, vectors: NDArray[np.float32]) -> NDArray[Any]:
        return cluster_vectors(vectors, 1 << nbits, seed=SEED).centres.astype(array.dtype)

    return _fitted(array, (1 << nbits, length), terms, centres)


def vector_tables_again(
    array: NDArray[Any], nbits: int, length: int, terms: Terms, finding: Finding
) -> FittedWeight:
    """What `fit_vector_tables` has made, from its tables and how many vectors each has.

    Raises `Unusable` for tables of something else.
    """
    check_parameters(finding, (array.dtype, (*terms.groups, 1 << nbits, length)), (np.int32, terms.groups))
    tables, sizes = finding.parameters
    if ((sizes < 1) | (sizes > 1 << nbits)).any():
        raise Unusable("tables of no such size")
    return _fitted(array, (1 << nbits, length), terms, lambda place, _: tables[place][: sizes[place]])


def _fitted(array: NDArray[Any], table: tuple[int, int], terms: Terms, centres: _Centres) -> FittedWeight:
    """Tables of the shape `table`, one for each group, of the centres that are found for it."""
    axis = terms.vector_axis
    assert axis is not None
    apart = _apart(array, axis, table[1])
    shape = apart.shape[:-1]
    tables, sizes = np.zeros((*terms.groups, *table), array.dtype), np.zeros(terms.groups, np.int32)
    indices, qualities = np.zeros(shape, np.uint8), []
    for place, block in blocks(shape, terms.groups):
        vectors = widened(np.ascontiguousarray(apart[block]).reshape(-1, table[1]))
        stored = centres(place, vectors)
        sizes[place] = len(stored)
        tables[place] = stored[np.minimum(np.arange(table[0]), len(stored) - 1)]
        found, squared, greatest = nearest(vectors, stored.astype(np.float64))
        indices[block] = found.reshape(indices[block].shape)
        signal = float(np.square(vectors, dtype=np.float64).sum())
        qualities.append(Quality(squared, greatest, signal))
    lut = Lut(Indices.of(indices, table[0].bit_length() - 1), Dense(tables), axis)
    return FittedWeight(lut, Quality.total(qualities), (tables, sizes))


def _apart(array: NDArray[Any], axis: int, length: int) -> NDArray[Any]:
    """The weight with the elements of each vector along a last axis of their own."""
    lengths = array.shape
    split = array.reshape(*lengths[:axis], lengths[axis] // length, length, *lengths[axis + 1 :])
    return np.moveaxis(split, axis + 1, -1)
