"""numpy's way of packing bits."""

from __future__ import annotations

import numpy as np


def packed_by_numpy(array: np.ndarray, nbits: int) -> np.ndarray:
    """Least significant bit first, the last byte filled up with zeros."""
    bits = np.unpackbits(array.reshape(-1, 1).astype(np.uint8), axis=1, count=nbits, bitorder="little")
    return np.packbits(bits.reshape(-1), bitorder="little")


def unpacked_by_numpy(packed: np.ndarray, nbits: int, size: int, *, signed: bool) -> np.ndarray:
    """The elements that `packed_by_numpy` packed, in (u)int8."""
    bits = np.unpackbits(packed, bitorder="little")[: size * nbits].reshape(size, nbits)
    array = np.packbits(bits, axis=1, bitorder="little").reshape(-1)
    return (array.astype(np.int16) - ((array >> (nbits - 1)) << nbits)).astype(np.int8) if signed else array
