"""Counts of the bit patterns of 16-bit floats."""

import cython


def count_patterns(patterns: cython.const[cython.ushort][::1], counters: cython.uint[:, ::1]) -> None:
    """Add the occurrences of each pattern to two rows of 65,536 counters, whose sum is the count.

    Two rows, because neighbouring weights are often equal and a counter just written is slow to read; more of
    them do not fit into the second-level cache.
    """
    i: cython.Py_ssize_t
    size: cython.Py_ssize_t = patterns.shape[0]
    whole: cython.Py_ssize_t = size - size % 4
    with cython.nogil:
        for i in range(0, whole, 4):
            counters[0, patterns[i]] += 1
            counters[1, patterns[i + 1]] += 1
            counters[0, patterns[i + 2]] += 1
            counters[1, patterns[i + 3]] += 1
        for i in range(whole, size):
            counters[0, patterns[i]] += 1


def collect_counts(
    counters: cython.uint[:, ::1],
    patterns: cython.ushort[::1],
    counts: cython.double[::1],
    found: cython.longlong[::1],
) -> None:
    """Write the patterns that occur, ascending as the values of fp16 do, with their counts, and their number.

    -infinity comes first, NaN at both ends.  The counters are zero again afterwards.
    """
    i: cython.Py_ssize_t
    pattern: cython.Py_ssize_t
    total: cython.double
    filled: cython.Py_ssize_t = 0
    with cython.nogil:
        for i in range(65536):
            pattern = 65535 - i if i < 32768 else i - 32768
            total = counters[0, pattern]
            total += counters[1, pattern]
            if total == 0.0:
                continue
            patterns[filled] = cython.cast(cython.ushort, pattern)
            counts[filled] = total
            filled += 1
            counters[0, pattern] = 0
            counters[1, pattern] = 0
    found[0] = filled


def count_in_blocks(
    patterns: cython.const[cython.ushort][::1], counters: cython.uint[::1], touched: cython.uchar[::1]
) -> None:
    """Add the occurrences of few patterns to 65,536 counters, and mark which blocks of 16 have any."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(patterns.shape[0]):
            counters[patterns[i]] += 1
            touched[patterns[i] >> 4] = 1


def collect_blocks(
    counters: cython.uint[::1],
    touched: cython.uchar[::1],
    patterns: cython.ushort[::1],
    counts: cython.double[::1],
    found: cython.longlong[::1],
) -> None:
    """Write what `collect_counts` does, from blocks that have any; the arrays hold one pattern more.

    Counters and marks are zero again afterwards.
    """
    i: cython.Py_ssize_t
    place: cython.Py_ssize_t
    block: cython.Py_ssize_t
    pattern: cython.Py_ssize_t
    filled: cython.Py_ssize_t = 0
    with cython.nogil:
        for i in range(4096):
            block = 4095 - i if i < 2048 else i - 2048
            if touched[block] == 0:
                continue
            touched[block] = 0
            for place in range(16):
                pattern = 16 * block + (15 - place if i < 2048 else place)
                patterns[filled] = cython.cast(cython.ushort, pattern)
                counts[filled] = counters[pattern]
                filled += 1 if counters[pattern] != 0 else 0
                counters[pattern] = 0
    found[0] = filled
