"""How far what readers see is from a weight: squared error, square of the greatest, sum of squares.

Each sum is two, of elements by turns: one would wait for itself at every element.
"""

import cython


def compare(
    values: cython.const[cython.float][::1], seen: cython.const[cython.float][::1], sums: cython.double[::1]
) -> None:
    """Add to the three sums what two arrays differ by, element by element."""
    i: cython.Py_ssize_t
    size: cython.Py_ssize_t = values.shape[0]
    even: cython.double
    odd: cython.double
    error: cython.double
    other: cython.double
    squared: cython.double = 0.0
    squared_odd: cython.double = 0.0
    signal: cython.double = 0.0
    signal_odd: cython.double = 0.0
    greatest: cython.double = sums[1]
    greatest_odd: cython.double = 0.0
    with cython.nogil:
        for i in range(0, size - 1, 2):
            even = values[i]
            odd = values[i + 1]
            error = even - seen[i]
            other = odd - seen[i + 1]
            error *= error
            other *= other
            squared += error
            squared_odd += other
            signal += even * even
            signal_odd += odd * odd
            greatest = error if error > greatest else greatest
            greatest_odd = other if other > greatest_odd else greatest_odd
        if size % 2:
            even = values[size - 1]
            error = even - seen[size - 1]
            error *= error
            squared += error
            signal += even * even
            greatest = error if error > greatest else greatest
    sums[0] += squared + squared_odd
    sums[1] = greatest if greatest > greatest_odd else greatest_odd
    sums[2] += signal + signal_odd


def compare_indexed(
    patterns: cython.const[cython.ushort][::1],
    reals: cython.const[cython.float][::1],
    indices: cython.const[cython.uchar][::1],
    entries: cython.const[cython.float][::1],
    sums: cython.double[::1],
) -> None:
    """The first two for bit patterns, which stand for `reals`, and indices into a table of `entries`."""
    i: cython.Py_ssize_t
    size: cython.Py_ssize_t = patterns.shape[0]
    error: cython.double
    other: cython.double
    squared: cython.double = 0.0
    squared_odd: cython.double = 0.0
    greatest: cython.double = sums[1]
    greatest_odd: cython.double = 0.0
    with cython.nogil:
        for i in range(0, size - 1, 2):
            error = reals[patterns[i]]
            other = reals[patterns[i + 1]]
            error -= entries[indices[i]]
            other -= entries[indices[i + 1]]
            error *= error
            other *= other
            squared += error
            squared_odd += other
            greatest = error if error > greatest else greatest
            greatest_odd = other if other > greatest_odd else greatest_odd
        if size % 2:
            error = reals[patterns[size - 1]]
            error -= entries[indices[size - 1]]
            error *= error
            squared += error
            greatest = error if error > greatest else greatest
    sums[0] += squared + squared_odd
    sums[1] = greatest if greatest > greatest_odd else greatest_odd
