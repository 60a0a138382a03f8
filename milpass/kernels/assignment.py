"""From each weight to the index of its table entry."""

import cython


def look_up(
    patterns: cython.const[cython.ushort][::1],
    index_of: cython.const[cython.uchar][::1],
    indices: cython.uchar[::1],
) -> None:
    """Write the entry of a table of 65,536 indices for each 16-bit pattern."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(patterns.shape[0]):
            indices[i] = index_of[patterns[i]]


def count_cuts(
    values: cython.const[cython.float][::1],
    cuts: cython.const[cython.float][::1],
    indices: cython.uchar[::1],
) -> None:
    """Write for each value how many cuts lie below it, by bisection.

    `cuts` ascends and has 2**nbits - 1 elements; unused ones at its end are infinite.
    """
    i: cython.Py_ssize_t
    found: cython.Py_ssize_t
    step: cython.Py_ssize_t
    half: cython.Py_ssize_t = (cuts.shape[0] + 1) // 2
    value: cython.float
    with cython.nogil:
        for i in range(values.shape[0]):
            value = values[i]
            found = 0
            step = half
            while step > 0:
                found += step if value > cuts[found + step - 1] else 0
                step >>= 1
            indices[i] = cython.cast(cython.uchar, found)


def measure(
    values: cython.const[cython.float][::1],
    indices: cython.const[cython.uchar][::1],
    table: cython.const[cython.double][::1],
    sums: cython.double[::1],
) -> None:
    """Add the squares of errors and of values to `sums`, and raise its third to the greatest error."""
    i: cython.Py_ssize_t
    real: cython.double
    error: cython.double
    squared: cython.double = 0.0
    signal: cython.double = 0.0
    greatest: cython.double = sums[2]
    with cython.nogil:
        for i in range(values.shape[0]):
            real = values[i]
            error = abs(real - table[indices[i]])
            squared += error * error
            signal += real * real
            greatest = error if error > greatest else greatest
    sums[0] += squared
    sums[1] += signal
    sums[2] = greatest


def choose(
    values: cython.const[cython.double][::1],
    counts: cython.const[cython.double][::1],
    entries: cython.const[cython.double][::1],
    middles: cython.const[cython.double][::1],
    chosen: cython.uchar[::1],
    sums: cython.double[::1],
) -> None:
    """Write for each of the ascending values how many middles lie below it, and what its entry costs.

    `middles` ascend, one less than there are entries.  The sums are the squared error by the counts, the
    greatest error of all, and the sum of squares by the counts.
    """
    i: cython.Py_ssize_t
    entry: cython.Py_ssize_t = 0
    value: cython.double
    error: cython.double
    squared: cython.double = 0.0
    greatest: cython.double = 0.0
    signal: cython.double = 0.0
    with cython.nogil:
        for i in range(values.shape[0]):
            value = values[i]
            while entry < middles.shape[0] and value > middles[entry]:
                entry += 1
            chosen[i] = cython.cast(cython.uchar, entry)
            error = value - entries[entry]
            squared += counts[i] * error * error
            signal += counts[i] * value * value
            error = error if error >= 0.0 else -error
            greatest = error if error > greatest else greatest
    sums[0] = squared
    sums[1] = greatest
    sums[2] = signal


def spread(cuts: cython.const[cython.longlong][::1], index_of: cython.uchar[::1]) -> None:
    """Write for each of the 65,536 patterns of fp16 how many cuts lie below it.

    Cuts ascend; they are places in the order of the values, where -0.0 is the 32,767th and 0.0 comes next.
    """
    i: cython.Py_ssize_t
    entry: cython.Py_ssize_t
    begin: cython.Py_ssize_t
    end: cython.Py_ssize_t = 0
    with cython.nogil:
        for entry in range(cuts.shape[0] + 1):
            begin = end
            end = cuts[entry] + 1 if entry < cuts.shape[0] else 65536
            for i in range(begin, min(end, 32768)):
                index_of[65535 - i] = cython.cast(cython.uchar, entry)
            for i in range(max(begin, 32768), end):
                index_of[i - 32768] = cython.cast(cython.uchar, entry)
