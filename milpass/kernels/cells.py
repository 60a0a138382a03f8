"""Cells of fp32 bit patterns: their moments in one pass over a weight, the values of some in another.

The upper 16 bits of a pattern choose a row of `places`; it holds 32 times the first cell of those bits,
plus how many of the lower 16 bits are left out of the number of the cell.  What is left out, the place of a
value in its cell, is summed in whole numbers, so that no digit is lost and no order of the values matters.
"""

import cython


def add_moments(
    patterns: cython.const[cython.uint][::1],
    places: cython.const[cython.int][::1],
    moments: cython.ulonglong[:, ::1],
) -> None:
    """Add the sums of 1, r and r**2 of each cell, r the place of a value in it.

    The columns of `moments`, a row for each cell, are 2**40 times the first sum plus the second, so at most
    2**23 patterns at a time; the third sum; and both once more.  What is summed is the sum of the two halves:
    neighbouring weights are often equal, and a number just written is slow to read.
    """
    i: cython.Py_ssize_t
    place: cython.int
    cell: cython.Py_ssize_t
    half: cython.Py_ssize_t
    rest: cython.ulonglong
    one: cython.ulonglong = 1
    low: cython.ulonglong
    with cython.nogil:
        for i in range(patterns.shape[0]):
            place = places[patterns[i] >> 16]
            low = patterns[i] & 0xFFFF
            cell = (place >> 5) + (low >> (place & 31))
            rest = low & ((one << (place & 31)) - 1)
            half = 2 * (i & 1)
            moments[cell, half] += (one << 40) + rest
            moments[cell, half + 1] += rest * rest


def gather(
    patterns: cython.const[cython.uint][::1],
    places: cython.const[cython.int][::1],
    wanted: cython.const[cython.uchar][::1],
    gathered: cython.uint[::1],
) -> None:
    """Write the patterns whose cells are `wanted` (1, not 0), in their order.

    `gathered` has room for one more than there are: each pattern is written, and kept if it is wanted.
    """
    i: cython.Py_ssize_t
    filled: cython.Py_ssize_t = 0
    place: cython.int
    low: cython.uint
    with cython.nogil:
        for i in range(patterns.shape[0]):
            place = places[patterns[i] >> 16]
            low = patterns[i] & 0xFFFF
            gathered[filled] = patterns[i]
            filled += wanted[(place >> 5) + (low >> (place & 31))]
