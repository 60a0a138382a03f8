"""Cells of fp32 bit patterns: their moments in one pass over a weight, the values of some in another.

The upper 16 bits of a pattern choose a row of `places`: 32 times the first cell of those bits, plus how many
of the lower 16 bits are left out of the number of the cell.
"""

import cython


def add_moments(
    patterns: cython.const[cython.uint][::1],
    places: cython.const[cython.int][::1],
    moments: cython.ulonglong[:, ::1],
) -> None:
    """Add the sums of 1, r and r**2 of each cell, r the lower 16 bits: whole numbers, so nothing is lost.

    The columns of `moments`, a row for each cell, are 2**40 times the first sum plus the second, so at most
    2**23 patterns at a time, and the third.
    """
    i: cython.Py_ssize_t
    place: cython.int
    cell: cython.Py_ssize_t
    one: cython.ulonglong = 1
    low: cython.uint
    with cython.nogil:
        for i in range(patterns.shape[0]):
            place = places[patterns[i] >> 16]
            low = patterns[i] & 0xFFFF
            cell = (place >> 5) + (low >> (place & 31))
            moments[cell, 0] += (one << 40) + low
            moments[cell, 1] += low * low


def gather(
    patterns: cython.const[cython.uint][::1],
    places: cython.const[cython.int][::1],
    wanted: cython.const[cython.uchar][::1],
    gathered: cython.uint[::1],
    number: cython.longlong[::1],
) -> None:
    """Write the patterns whose cells are `wanted` (1, not 0) in their order, after the `number` there are.

    `gathered` has room for one more than are found: each pattern is written, and kept if it is wanted.
    """
    i: cython.Py_ssize_t
    filled: cython.Py_ssize_t = number[0]
    place: cython.int
    low: cython.uint
    with cython.nogil:
        for i in range(patterns.shape[0]):
            place = places[patterns[i] >> 16]
            low = patterns[i] & 0xFFFF
            gathered[filled] = patterns[i]
            filled += wanted[(place >> 5) + (low >> (place & 31))]
    number[0] = filled
