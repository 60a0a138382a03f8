"""Weights stored in a shorter floating-point type."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from milpass.encodings.base import Encoding

# The field's names of types -> numpy's
FLOATS: dict[str, str] = {"fp16": "float16", "fp32": "float32"}


@frozen
class Cast(Encoding):
    """w = inner in another float type, "fp16" or "fp32".

    Source: `constexpr_cast` of Core ML's iOS16 and iOS18 opsets.
    """

    inner: Encoding
    dtype: str
    kind: ClassVar[str] = "cast"

    @property
    def shape(self) -> tuple[int, ...]:
        """The inner's shape."""
        return self.inner.shape

    def decode(self) -> NDArray[Any]:
        """The inner's values in the other type."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.inner.decode().astype(FLOATS[self.dtype])

    @property
    def end(self) -> NDArray[Any]:
        """The inner's."""
        return self.inner.end

    @property
    def step(self) -> int:
        """As the inner's."""
        return self.inner.step

    def rows(self, start: int, stop: int) -> Cast:
        """The inner's rows in the other type."""
        return evolve(self, inner=self.inner.rows(start, stop))
