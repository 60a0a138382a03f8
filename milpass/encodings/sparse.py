"""Pruned weights: a mask, and the values where it is set."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from attrs import cmp_using, field, frozen
from numpy.typing import NDArray

from milpass.encodings.base import Encoding
from milpass.encodings.equality import same_indices
from milpass.encodings.indices import Indices


@frozen
class Sparse(Encoding):
    """w = inner where the mask (indices of one bit) is 1, else 0.

    The inner has the weight's shape; what it holds where the mask is 0 does not matter and is not stored.
    Source: `constexpr_sparse_to_dense` of Core ML's iOS16 and iOS18 opsets.
    """

    mask: Indices = field(eq=cmp_using(eq=same_indices))
    inner: Encoding
    kind: ClassVar[str] = "sparse"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the mask."""
        return self.mask.shape

    def decode(self) -> NDArray[Any]:
        """The inner's values and zeros, in the inner's dtype."""
        values = self.inner.decode()
        return np.where(self.mask.array() != 0, values, values.dtype.type(0))

    @property
    def end(self) -> NDArray[Any]:
        """The inner's."""
        return self.inner.end

    @property
    def step(self) -> int:
        """As the inner's."""
        return self.inner.step

    def rows(self, start: int, stop: int) -> Sparse:
        """The rows of the mask and of what it covers."""
        return Sparse(self.mask.rows(start, stop), self.inner.rows(start, stop))
