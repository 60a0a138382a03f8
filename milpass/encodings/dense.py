"""The weight as it is."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import cmp_using, field, frozen
from numpy.typing import NDArray

from milpass.encodings.base import Encoding
from milpass.encodings.equality import same_bits


@frozen
class Dense(Encoding):
    """An array of any shape and dtype, stored plainly: the end of every chain."""

    array: NDArray[Any] = field(eq=cmp_using(eq=same_bits))
    kind: ClassVar[str] = "dense"

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return tuple(self.array.shape)

    def decode(self) -> NDArray[Any]:
        """The array itself."""
        return self.array
