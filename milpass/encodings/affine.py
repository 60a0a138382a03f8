"""Quantized weights: whole numbers, a scale and an offset for each block of elements."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from attrs import cmp_using, field, frozen
from numpy.typing import NDArray

from milpass.encodings.base import Encoding
from milpass.encodings.equality import same_bits


def _same_or_none(left: NDArray[Any] | None, right: NDArray[Any] | None) -> bool:
    return left is right or (left is not None and right is not None and same_bits(left, right))


@frozen
class Affine(Encoding):
    """w = scale * (inner - offset), or scale * inner + bias, computed in the dtype of the scale.

    `scale` and `offset` have the weight's rank and one shape, each length a divisor of the weight's: so many
    blocks lie along each axis.  `offset` is None (zero), of the inner's dtype, or floating-point; `bias`, of
    the scale's shape and dtype, is what neural networks have in its place: a scale may be zero beside it.
    Source: `constexpr_affine_dequantize` (iOS16) and `constexpr_blockwise_shift_scale` (iOS18) of Core ML;
    `LinearQuantizationParams` of its neural networks.
    """

    inner: Encoding
    scale: NDArray[Any] = field(eq=cmp_using(eq=same_bits))
    offset: NDArray[Any] | None = field(default=None, eq=cmp_using(eq=_same_or_none))
    bias: NDArray[Any] | None = field(default=None, eq=cmp_using(eq=_same_or_none))
    kind: ClassVar[str] = "affine"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the quantized values."""
        return self.inner.shape

    def decode(self) -> NDArray[Any]:
        """The dequantized values; what a model holds may be NaN or infinite, or become so."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = self.inner.decode().astype(self.scale.dtype)
            if self.offset is not None:
                values = values - self._spread(self.offset).astype(values.dtype)
            decoded: NDArray[Any] = self._spread(self.scale) * values
            if self.bias is not None:
                decoded = decoded + self._spread(self.bias)
        return decoded

    def _spread(self, parameters: NDArray[Any]) -> NDArray[Any]:
        """One parameter for each element along every axis that has more than one block."""
        for axis, (count, length) in enumerate(zip(parameters.shape, self.shape, strict=True)):
            if 1 < count < length:
                parameters = np.repeat(parameters, length // count, axis)
        return parameters
