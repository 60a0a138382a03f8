"""How far what readers see is from a weight: squared error, square of the greatest, sum of squares."""

import cython


def compare(
    values: cython.const[cython.float][::1], seen: cython.const[cython.float][::1], sums: cython.double[::1]
) -> None:
    """Add to the three sums what two arrays differ by, element by element."""
    i: cython.Py_ssize_t
    value: cython.double
    error: cython.double
    squared: cython.double = 0.0
    signal: cython.double = 0.0
    greatest: cython.double = sums[1]
    with cython.nogil:
        for i in range(values.shape[0]):
            value = values[i]
            error = value - seen[i]
            error *= error
            squared += error
            signal += value * value
            greatest = error if error > greatest else greatest
    sums[0] += squared
    sums[1] = greatest
    sums[2] += signal


def compare_indexed(
    patterns: cython.const[cython.ushort][::1],
    reals: cython.const[cython.float][::1],
    indices: cython.const[cython.uchar][::1],
    entries: cython.const[cython.float][::1],
    sums: cython.double[::1],
) -> None:
    """The same for bit patterns, which stand for `reals`, and indices into a table of `entries`."""
    i: cython.Py_ssize_t
    value: cython.double
    error: cython.double
    squared: cython.double = 0.0
    signal: cython.double = 0.0
    greatest: cython.double = sums[1]
    with cython.nogil:
        for i in range(patterns.shape[0]):
            value = reals[patterns[i]]
            error = value - entries[indices[i]]
            error *= error
            squared += error
            signal += value * value
            greatest = error if error > greatest else greatest
    sums[0] += squared
    sums[1] = greatest
    sums[2] += signal
