"""The weight as it is."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import numpy as np
from attrs import Factory, cmp_using, field, frozen
from numpy.typing import NDArray

from milpass.encodings.base import Encoding
from milpass.encodings.equality import same_bits

# numpy's names of types -> the field's
STORED: dict[str, str] = {"float16": "fp16", "float32": "fp32"}


@cache
def stored_name(dtype: np.dtype[Any]) -> str:
    """The field's name of a type; numpy takes microseconds to tell its own."""
    return STORED.get(dtype.name, dtype.name)


@frozen
class Dense(Encoding):
    """An array of any shape, stored plainly: the end of every chain.

    `dtype` is the type as which it is stored; types narrower than a byte stand in arrays of (u)int8.
    """

    array: NDArray[Any] = field(eq=cmp_using(eq=same_bits))
    dtype: str = Factory(lambda self: stored_name(self.array.dtype), takes_self=True)
    kind: ClassVar[str] = "dense"

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return tuple(self.array.shape)

    def decode(self) -> NDArray[Any]:
        """The array itself."""
        return self.array

    @property
    def end(self) -> NDArray[Any]:
        """The array itself."""
        return self.array

    @property
    def step(self) -> int:
        """Rows stand by themselves."""
        return 1

    def rows(self, start: int, stop: int) -> Dense:
        """A view of these rows."""
        return Dense(self.array[start:stop], self.dtype)
