"""Numbers narrower than a byte, packed as Core ML stores them.

ML Programs begin with the least significant bit, neural networks with the most significant one (`msb`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from milpass import kernels


def packed(numbers: NDArray[np.uint8], nbits: int, *, msb: bool = False) -> NDArray[np.uint8]:
    """Flat numbers below 2**nbits in ceil(size * nbits / 8) bytes."""
    octets = np.empty(-(-numbers.size // 8) * nbits, np.uint8)
    pack_into(octets, numbers, nbits, msb=msb)
    return octets[: -(-numbers.size * nbits // 8)]


def pack_into(octets: NDArray[np.uint8], numbers: NDArray[np.uint8], nbits: int, *, msb: bool = False) -> int:
    """Pack flat numbers into the first bytes of an array; how many: `nbits` for each eight of them begun."""
    words = _in_words(numbers)
    begun = octets[: words.size * nbits]
    if nbits == 4 and not msb and begun.view("<u4").flags.aligned:
        kernels.bits.pack_nibbles(words, begun.view("<u4"))
    else:
        pack = kernels.bits.pack_msb if msb else kernels.bits.pack
        pack(words, nbits, begun)
    return begun.size


def unpacked(octets: NDArray[np.uint8], size: int, nbits: int, *, msb: bool = False) -> NDArray[np.uint8]:
    """The first `size` numbers of `nbits` bits that are packed in bytes; zeros where bytes are missing."""
    groups = -(-size // 8)
    whole = octets[: groups * nbits]
    if whole.size < groups * nbits:
        whole = np.concatenate([whole, np.zeros(groups * nbits - whole.size, np.uint8)])
    words = np.empty(groups, "<u8")
    if nbits == 4 and not msb and whole.view("<u4").flags.aligned:
        kernels.bits.unpack_nibbles(whole.view("<u4"), words)
    else:
        unpack = kernels.bits.unpack_msb if msb else kernels.bits.unpack
        unpack(whole, nbits, words)
    return words.view(np.uint8)[:size]


def signed(numbers: NDArray[np.uint8], nbits: int) -> NDArray[np.int8]:
    """Numbers of `nbits` bits read as two's complement."""
    sign = np.uint8(1 << (nbits - 1))
    return ((numbers ^ sign) - sign).view(np.int8)


def _in_words(numbers: NDArray[np.uint8]) -> NDArray[Any]:
    """Numbers as words of eight, the last one filled up with zeros."""
    if numbers.size % 8:
        numbers = np.concatenate([numbers, np.zeros(-numbers.size % 8, np.uint8)])
    return numbers.view("<u8")
