"""Counts of the bit patterns of 16-bit floats."""

import cython


def count_patterns(patterns: cython.const[cython.ushort][::1], counters: cython.uint[:, ::1]) -> None:
    """Add the occurrences of each pattern to four rows of 65,536 counters, whose sum is the count.

    Four rows, because neighbouring weights are often equal and a counter just written is slow to read.
    """
    i: cython.Py_ssize_t
    size: cython.Py_ssize_t = patterns.shape[0]
    whole: cython.Py_ssize_t = size - size % 4
    with cython.nogil:
        for i in range(0, whole, 4):
            counters[0, patterns[i]] += 1
            counters[1, patterns[i + 1]] += 1
            counters[2, patterns[i + 2]] += 1
            counters[3, patterns[i + 3]] += 1
        for i in range(whole, size):
            counters[0, patterns[i]] += 1
