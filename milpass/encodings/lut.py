"""Palettized weights: tables of values and an index for each element or vector of elements."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from attrs import cmp_using, evolve, field, frozen
from numpy.typing import NDArray

from milpass.encodings.base import Encoding, together
from milpass.encodings.equality import same_indices
from milpass.encodings.indices import Indices


@frozen
class Lut(Encoding):
    """w = table[group of the element, its index], with the tables themselves an encoding.

    For indices of rank k the tables have the shape (groups along each axis..., 2**nbits, vector); groups
    divide their axis evenly.  A vector longer than 1 lies along `vector_axis` of the weight, whose length
    there is that of the indices times the vector's.
    Source: `constexpr_lut_to_dense` of Core ML's iOS16 and iOS18 opsets.
    """

    indices: Indices = field(eq=cmp_using(eq=same_indices))
    inner: Encoding
    vector_axis: int | None = None
    kind: ClassVar[str] = "lut"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the indices, longer along the vector axis."""
        lengths = list(self.indices.shape)
        if self.vector_axis is not None:
            lengths[self.vector_axis] *= self.inner.shape[-1]
        return tuple(lengths)

    def decode(self) -> NDArray[Any]:
        """The tables' entries in the places of their indices, in the tables' dtype."""
        tables = self.inner.decode()
        *groups, entries, vector = tables.shape
        indices = self.indices.array()
        if set(groups) <= {1} and vector == 1:
            return np.take(tables.reshape(-1), indices)
        chosen = _group_of_each(groups, indices.shape) * entries + indices
        vectors: NDArray[Any] = np.take(tables.reshape(-1, vector), chosen, axis=0)
        axis = 0 if self.vector_axis is None else self.vector_axis
        return np.moveaxis(vectors, -1, axis + 1).reshape(self.shape)

    @property
    def end(self) -> NDArray[Any]:
        """The inner's."""
        return self.inner.end

    @property
    def step(self) -> int:
        """The rows that share a table, or lie in one vector."""
        return self._height * together(self.inner.shape[0], self.indices.shape[0])

    @property
    def _height(self) -> int:
        """The rows of a row of indices."""
        return self.inner.shape[-1] if self.vector_axis == 0 else 1

    def rows(self, start: int, stop: int) -> Lut:
        """The indices of these rows with their tables."""
        first, last, shared = start // self._height, stop // self._height, self.inner.shape[0] == 1
        length = together(self.inner.shape[0], self.indices.shape[0])
        inner = self.inner if shared else self.inner.rows(first // length, -(-last // length))
        return evolve(self, indices=self.indices.rows(first, last), inner=inner)


def _group_of_each(groups: list[int], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The number of the table that each index refers to."""
    number = np.zeros((1,) * len(shape), np.int64)
    for axis, (count, length) in enumerate(zip(groups, shape, strict=True)):
        along = np.arange(length) // max(length // count, 1)
        number = number * count + along.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return number
