"""Packing of indices into bytes and back: least or (`..._msb`) most significant bit first.

Eight indices of n bits make n bytes.  Three steps bring together neighbours in a 64-bit word: bytes into
pairs, pairs into fours, fours into eights; the same for every n from 1 to 8.  With the most significant bit
first the earlier neighbour takes the higher bits, and the word's highest byte is written first.  Those of 4
bits, the most common, make whole words of 32: a compiler takes several at a time.
"""

import cython


def pack(words: cython.const[cython.ulonglong][::1], nbits: cython.int, packed: cython.uchar[::1]) -> None:
    """Pack words of eight one-byte indices (little endian) into `nbits` bytes each."""
    i: cython.Py_ssize_t
    k: cython.int
    word: cython.ulonglong
    at: cython.Py_ssize_t = 0
    every_2nd: cython.ulonglong = 0x00FF00FF00FF00FF
    every_4th: cython.ulonglong = 0x0000FFFF0000FFFF
    every_8th: cython.ulonglong = 0x00000000FFFFFFFF
    with cython.nogil:
        for i in range(words.shape[0]):
            word = words[i]
            word = (word & every_2nd) | (((word >> 8) & every_2nd) << nbits)
            word = (word & every_4th) | (((word >> 16) & every_4th) << (2 * nbits))
            word = (word & every_8th) | ((word >> 32) << (4 * nbits))
            for k in range(nbits):
                packed[at + k] = cython.cast(cython.uchar, word & 0xFF)
                word >>= 8
            at += nbits


def unpack(packed: cython.const[cython.uchar][::1], nbits: cython.int, words: cython.ulonglong[::1]) -> None:
    """Unpack `nbits` bytes into each word of eight one-byte indices: the inverse of `pack`."""
    i: cython.Py_ssize_t
    k: cython.int
    word: cython.ulonglong
    low: cython.ulonglong
    at: cython.Py_ssize_t = 0
    bit: cython.ulonglong = 1
    lanes_of_2: cython.ulonglong = 0x0000000100000001
    lanes_of_4: cython.ulonglong = 0x0001000100010001
    four: cython.ulonglong = (bit << (4 * nbits)) - 1
    two: cython.ulonglong = ((bit << (2 * nbits)) - 1) * lanes_of_2
    one: cython.ulonglong = ((bit << nbits) - 1) * lanes_of_4
    with cython.nogil:
        for i in range(words.shape[0]):
            word = 0
            for k in range(nbits):
                low = packed[at + k]
                word |= low << (8 * k)
            at += nbits
            word = (word & four) | ((word >> (4 * nbits)) << 32)
            word = (word & two) | (((word >> (2 * nbits)) & two) << 16)
            word = (word & one) | (((word >> nbits) & one) << 8)
            words[i] = word


def pack_nibbles(words: cython.const[cython.ulonglong][::1], packed: cython.uint[::1]) -> None:
    """Pack words of eight one-byte indices (little endian) into a word of eight times 4 bits each."""
    i: cython.Py_ssize_t
    word: cython.ulonglong
    pairs: cython.ulonglong = 0x00FF00FF00FF00FF
    fours: cython.ulonglong = 0x0000FFFF0000FFFF
    eight: cython.ulonglong = 0x00000000FFFFFFFF
    with cython.nogil:
        for i in range(words.shape[0]):
            word = words[i]
            word = (word | (word >> 4)) & pairs
            word = (word | (word >> 8)) & fours
            packed[i] = cython.cast(cython.uint, (word | (word >> 16)) & eight)


def unpack_nibbles(packed: cython.const[cython.uint][::1], words: cython.ulonglong[::1]) -> None:
    """Unpack eight times 4 bits into a word of eight one-byte indices each: the inverse of `pack_nibbles`."""
    i: cython.Py_ssize_t
    word: cython.ulonglong
    fours: cython.ulonglong = 0x0000FFFF0000FFFF
    pairs: cython.ulonglong = 0x00FF00FF00FF00FF
    each: cython.ulonglong = 0x0F0F0F0F0F0F0F0F
    with cython.nogil:
        for i in range(words.shape[0]):
            word = packed[i]
            word = (word | (word << 16)) & fours
            word = (word | (word << 8)) & pairs
            words[i] = (word | (word << 4)) & each


def pack_msb(
    words: cython.const[cython.ulonglong][::1], nbits: cython.int, packed: cython.uchar[::1]
) -> None:
    """Pack words of eight one-byte indices (little endian) into `nbits` bytes each, highest bits first."""
    i: cython.Py_ssize_t
    k: cython.int
    word: cython.ulonglong
    at: cython.Py_ssize_t = 0
    every_2nd: cython.ulonglong = 0x00FF00FF00FF00FF
    every_4th: cython.ulonglong = 0x0000FFFF0000FFFF
    every_8th: cython.ulonglong = 0x00000000FFFFFFFF
    with cython.nogil:
        for i in range(words.shape[0]):
            word = words[i]
            word = ((word & every_2nd) << nbits) | ((word >> 8) & every_2nd)
            word = ((word & every_4th) << (2 * nbits)) | ((word >> 16) & every_4th)
            word = ((word & every_8th) << (4 * nbits)) | (word >> 32)
            for k in range(nbits):
                packed[at + nbits - 1 - k] = cython.cast(cython.uchar, word & 0xFF)
                word >>= 8
            at += nbits


def unpack_msb(
    packed: cython.const[cython.uchar][::1], nbits: cython.int, words: cython.ulonglong[::1]
) -> None:
    """Unpack `nbits` bytes into each word of eight one-byte indices: the inverse of `pack_msb`."""
    i: cython.Py_ssize_t
    k: cython.int
    word: cython.ulonglong
    low: cython.ulonglong
    at: cython.Py_ssize_t = 0
    bit: cython.ulonglong = 1
    lanes_of_2: cython.ulonglong = 0x0000000100000001
    lanes_of_4: cython.ulonglong = 0x0001000100010001
    four: cython.ulonglong = (bit << (4 * nbits)) - 1
    two: cython.ulonglong = ((bit << (2 * nbits)) - 1) * lanes_of_2
    one: cython.ulonglong = ((bit << nbits) - 1) * lanes_of_4
    with cython.nogil:
        for i in range(words.shape[0]):
            word = 0
            for k in range(nbits):
                low = packed[at + k]
                word = (word << 8) | low
            at += nbits
            word = ((word & four) << 32) | (word >> (4 * nbits))
            word = ((word & two) << 16) | ((word >> (2 * nbits)) & two)
            word = ((word & one) << 8) | ((word >> nbits) & one)
            words[i] = word
