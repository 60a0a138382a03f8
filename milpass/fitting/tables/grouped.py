"""Tables for the groups of a weight, each fitted by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from milpass.encodings import Dense, Indices, Lut
from milpass.fitting.finding import Finding, Unusable, check_parameters
from milpass.fitting.fitted import FittedWeight, Quality, Terms
from milpass.fitting.tables.distribution import Distribution, check_finite
from milpass.fitting.tables.table import Entries, Table, palettized, table_of

# How many entries at most -> which are the best for a distribution
Choice: TypeAlias = Callable[[Distribution, int], Entries]
Place: TypeAlias = tuple[int, ...]
# The block of a group, and which of its elements are on the mask
Chosen: TypeAlias = tuple[tuple[slice, ...], slice | NDArray[np.bool_]]


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

    def table(place: Place, values: NDArray[Any], importance: NDArray[np.float64] | None) -> Table:
        found = _table(values, importance, nbits, choice)
        tables[place][:, 0] = found.stored
        return found

    indices, quality = indexed(array, terms, table)
    return FittedWeight(Lut(Indices.of(indices, nbits), Dense(tables)), quality)


def reassigned(array: NDArray[Any], lut: Lut, mask: NDArray[np.bool_] | None) -> Lut:
    """The same tables of scalars, each element with its nearest entry; as they are if they do not ascend."""
    tables = lut.inner.decode().astype(np.float64)
    if lut.vector_axis is not None or (np.diff(tables, axis=-2) < 0).any():
        return lut
    return evolve(lut, indices=_nearest(array, tables, lut.indices.nbits, mask))


def tables_again(array: NDArray[Any], nbits: int, terms: Terms, finding: Finding) -> FittedWeight:
    """What `fit_tables` has made, from its tables; raises `Unusable` for tables of something else."""
    groups = terms.groups or (1,) * array.ndim
    check_parameters(finding, (array.dtype, (*groups, 1 << nbits, 1)))
    (tables,) = finding.parameters
    entries = tables.astype(np.float64)
    if (np.diff(entries, axis=-2) < 0).any():
        raise Unusable("tables that do not ascend")
    if terms.are_plain:
        found = palettized(array, Distribution.of(array), Entries(entries.reshape(-1)), nbits)
        return FittedWeight(found.encoding, finding.quality, finding.parameters)
    lut = Lut(_nearest(array, entries, nbits, terms.mask), Dense(tables))
    return FittedWeight(lut, finding.quality, finding.parameters)


def with_tables(fitted: FittedWeight) -> FittedWeight:
    """A fit with its tables as what was searched for."""
    assert isinstance(fitted.encoding, Lut) and isinstance(fitted.encoding.inner, Dense)
    return evolve(fitted, parameters=(fitted.encoding.inner.array,))


def _nearest(
    array: NDArray[Any], tables: NDArray[np.float64], nbits: int, mask: NDArray[np.bool_] | None
) -> Indices:
    """Each element's nearest entry of tables that ascend."""

    def table(place: Place, values: NDArray[Any], importance: NDArray[np.float64] | None) -> Table:
        return table_of(values, Distribution.of(values), Entries(tables[place][:, 0]), nbits)

    indices, _ = indexed(array, Terms((nbits,), tables.shape[:-2], mask), table)
    return Indices.of(indices, nbits)


# A group's place, its values (flat), their importance -> its table
_TableOf: TypeAlias = Callable[[Place, "NDArray[Any]", "NDArray[np.float64] | None"], Table]


def parts(array: NDArray[Any], terms: Terms) -> Iterator[tuple[Place, NDArray[Any], Chosen]]:
    """The groups that have values: each one's place, the values on the mask (flat), and where they lie."""
    for place, block in blocks(array.shape, terms.groups):
        chosen = slice(None) if terms.mask is None else terms.mask[block]
        values = np.ascontiguousarray(array[block][chosen])
        if values.size:
            yield place, values.reshape(-1), (block, chosen)


def indexed(array: NDArray[Any], terms: Terms, table: _TableOf) -> tuple[NDArray[np.uint8], Quality]:
    """The indices of all groups; those of elements off the mask are 0."""
    indices, qualities = np.zeros(array.shape, np.uint8), []
    for place, values, (block, chosen) in parts(array, terms):
        importance = None if terms.importance is None else terms.importance[block][chosen].reshape(-1)
        found = table(place, values, importance)
        indices[block][chosen] = found.part(0, values.size).reshape(indices[block][chosen].shape)
        qualities.append(found.quality)
    return indices, Quality.total(qualities)


def _table(values: NDArray[Any], importance: NDArray[np.float64] | None, nbits: int, choice: Choice) -> Table:
    """The table of one group, with the index of each of its values."""
    distribution = Distribution.of(values, importance)
    if distribution.counts.any():
        return table_of(values, distribution, choice(distribution, 1 << nbits), nbits)
    alike = Distribution.of(values)  # nothing matters here: a table as if everything did
    found = table_of(values, alike, choice(alike, 1 << nbits), nbits)
    return found._replace(quality=Quality(0.0, found.quality.max_error, 0.0, 0.0, 0.0))
