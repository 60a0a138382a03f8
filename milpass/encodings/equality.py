"""When two arrays are the same weight."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from milpass.encodings.indices import Indices


def same_bits(left: NDArray[Any], right: NDArray[Any]) -> bool:
    """Whether shape, dtype and every bit agree (so NaN equals itself, and 0.0 is not -0.0)."""
    return left.shape == right.shape and left.dtype == right.dtype and left.tobytes() == right.tobytes()


def same_indices(left: Indices, right: Indices) -> bool:
    """Whether all indices and their number of bits agree."""
    return left.nbits == right.nbits and same_bits(left.array(), right.array())
