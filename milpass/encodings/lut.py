"""Palettized weights: a table of values and an index for each element."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from attrs import cmp_using, field, frozen
from numpy.typing import NDArray

from milpass.encodings.base import Encoding
from milpass.encodings.equality import same_bits
from milpass.encodings.indices import Indices


def _same_indices(left: Indices, right: Indices) -> bool:
    return left.nbits == right.nbits and same_bits(left.array(), right.array())


@frozen
class Lut(Encoding):
    """w = table[index of the element], with the table itself an encoding.

    For a weight of rank k the table has the shape (groups along each axis..., entries, 1): here one
    group, (1, ..., 1, 2**nbits, 1).  Source: `constexpr_lut_to_dense` of Core ML's iOS16 and iOS18 opsets.
    """

    indices: Indices = field(eq=cmp_using(eq=_same_indices))
    inner: Encoding
    kind: ClassVar[str] = "lut"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the indices, which is the weight's."""
        return self.indices.shape

    def decode(self) -> NDArray[Any]:
        """The table's entries in the places of their indices, in the table's dtype."""
        entries = self.inner.decode().reshape(-1)
        return np.take(entries, self.indices.array())
