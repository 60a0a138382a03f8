"""Tables for the groups of a weight, each fitted by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.distribution import Distribution, check_finite
from milpass.fitting.fitted import FittedWeight, Quality, Terms
from milpass.fitting.table import Entries, Table, palettized, table_of

# How many entries at most -> which are the best for a distribution
Choice: TypeAlias = Callable[[Distribution, int], Entries]
Place: TypeAlias = tuple[int, ...]


def blocks(shape: tuple[int, ...], groups: tuple[int, ...]) -> Iterator[tuple[Place, tuple[slice, ...]]]:
    """Each group's place among the groups, and the part of the weight that it is."""
    lengths = [length // max(count, 1) for length, count in zip(shape, groups, strict=True)]
    for place in product(*map(range, groups)):
        yield (
            place,
            tuple(slice(n * length, (n + 1) * length) for n, length in zip(place, lengths, strict=True)),
        )


def fit_tables(array: NDArray[Any], nbits: int, terms: Terms, choice: Choice) -> FittedWeight:
    """Tables of at most 2**nbits entries, one for each group; elements off the mask get the index 0."""
    if terms.are_plain:
        distribution = Distribution.of(array)
        return palettized(array, distribution, choice(distribution, 1 << nbits), nbits)
    check_finite(array)
    tables = np.zeros((*terms.groups, 1 << nbits, 1), array.dtype)
    indices = np.zeros(array.shape, np.uint8)
    qualities = []
    for place, block in blocks(array.shape, terms.groups):
        chosen = slice(None) if terms.mask is None else terms.mask[block]
        values = array[block][chosen]
        if values.size == 0:
            continue
        importance = None if terms.importance is None else terms.importance[block][chosen]
        found = _table(np.ascontiguousarray(values), importance, nbits, choice)
        tables[place][:, 0] = found.stored
        indices[block][chosen] = found.part(0, values.size).reshape(values.shape)
        qualities.append(found.quality)
    return FittedWeight(Lut(Indices.of(indices, nbits), Dense(tables)), Quality.total(qualities))


def _table(values: NDArray[Any], importance: NDArray[np.float64] | None, nbits: int, choice: Choice) -> Table:
    """The table of one group, with the index of each of its values."""
    distribution = Distribution.of(values, importance)
    if not distribution.counts.any():  # nothing matters here: as if everything did
        distribution = Distribution.of(values)
    return table_of(values, distribution, choice(distribution, 1 << nbits), nbits)
