"""The nearest centre of each vector.

Vectors are fp32 columns (d, n) in blocks with bounding boxes, and blocks in groups with boxes of their own;
centres are float64 (k, d), and so are distances.
"""

import cython


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def prune(
    centres: cython.const[cython.double][:, ::1],
    low: cython.const[cython.double][:, ::1],
    high: cython.const[cython.double][:, ::1],
    box: cython.Py_ssize_t,
    lists: cython.longlong[:, ::1],
    source: cython.Py_ssize_t,
    target: cython.Py_ssize_t,
    count: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """From the centres in one list to those that may be nearest somewhere in a box; returns their number.

    A centre is left out where the one nearest to the middle of the box is nearer at every corner.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    m: cython.Py_ssize_t
    owner: cython.Py_ssize_t = 0
    kept: cython.Py_ssize_t = 0
    nearest: cython.double = -1.0
    slack: cython.double = 1e-14  # more than rounding may take from squares
    distance: cython.double
    corner: cython.double
    a: cython.double
    b: cython.double
    for i in range(count):
        m = lists[source, i]
        distance = 0.0
        for j in range(low.shape[1]):
            a = centres[m, j] - 0.5 * (low[box, j] + high[box, j])
            distance += a * a
        if distance < nearest or nearest < 0.0:
            nearest = distance
            owner = m
    for i in range(count):
        m = lists[source, i]
        distance = 0.0
        for j in range(low.shape[1]):
            corner = high[box, j] if centres[m, j] > centres[owner, j] else low[box, j]
            a = centres[m, j] - corner
            b = centres[owner, j] - corner
            distance += (1.0 - slack) * (a * a) - (1.0 + slack) * (b * b)
        lists[target, kept] = m
        kept += 1 if distance <= 0.0 or m == owner else 0
    return kept


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def scan(
    columns: cython.const[cython.float][:, ::1],
    start: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
    centres: cython.const[cython.double][:, ::1],
    lists: cython.longlong[:, ::1],
    count: cython.Py_ssize_t,
    distances: cython.double[:, ::1],
    nearest: cython.longlong[::1],
) -> cython.void:
    """Find the nearest of the listed centres for each vector of a block, and its squared distance."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    p: cython.Py_ssize_t
    m: cython.longlong
    centre: cython.double
    offset: cython.double
    for p in range(count):
        m = lists[2, p]
        centre = centres[m, 0]
        for i in range(size):
            offset = columns[0, start + i] - centre
            distances[1, i] = offset * offset
        for j in range(1, columns.shape[0]):
            centre = centres[m, j]
            for i in range(size):
                offset = columns[j, start + i] - centre
                distances[1, i] += offset * offset
        if p == 0:
            for i in range(size):
                distances[0, i] = distances[1, i]
                nearest[i] = m
        else:
            for i in range(size):
                nearest[i] = m if distances[1, i] < distances[0, i] else nearest[i]
                distances[0, i] = distances[1, i] if distances[1, i] < distances[0, i] else distances[0, i]


def label(
    columns: cython.const[cython.float][:, ::1],
    low: cython.const[cython.double][:, ::1],
    high: cython.const[cython.double][:, ::1],
    group_low: cython.const[cython.double][:, ::1],
    group_high: cython.const[cython.double][:, ::1],
    centres: cython.const[cython.double][:, ::1],
    block: cython.Py_ssize_t,
    group: cython.Py_ssize_t,
    lists: cython.longlong[:, ::1],
    distances: cython.double[:, ::1],
    nearest: cython.longlong[::1],
    labels: cython.uchar[::1],
    errors: cython.double[::1],
) -> None:
    """Write the index of the nearest centre of each vector, the first of several, and its squared distance.

    In a box only those centres are tried that are nearest to some place in it: Kanungo et al., "An efficient
    k-means clustering algorithm" (2002), with blocks in place of a tree.
    """
    g: cython.Py_ssize_t
    b: cython.Py_ssize_t
    i: cython.Py_ssize_t
    start: cython.Py_ssize_t
    size: cython.Py_ssize_t
    near: cython.Py_ssize_t
    count: cython.Py_ssize_t
    for i in range(centres.shape[0]):
        lists[0, i] = i
    with cython.nogil:
        for g in range(group_low.shape[0]):
            near = prune(centres, group_low, group_high, g, lists, 0, 1, centres.shape[0])
            for b in range(g * group, min(g * group + group, low.shape[0])):
                count = prune(centres, low, high, b, lists, 1, 2, near)
                start = b * block
                size = min(block, columns.shape[1] - start)
                scan(columns, start, size, centres, lists, count, distances, nearest)
                for i in range(size):
                    labels[start + i] = cython.cast(cython.uchar, nearest[i])
                    errors[start + i] = distances[0, i]
