"""Lloyd's method for vectors: the sums of each cluster, the order of the centres around each, one round.

Vectors are fp32 columns (d, n), centres float64 (k, d), and `totals` holds the weight and the weighted sums
of each cluster (k, 1 + d).
"""

import cython
from cython.cimports.libc.math import sqrt


def add_up(
    columns: cython.const[cython.float][:, ::1],
    weights: cython.const[cython.double][::1],
    labels: cython.const[cython.uchar][::1],
    totals: cython.double[:, ::1],
) -> None:
    """Add to the row of each cluster the weights and the weighted sums of its vectors.

    `weights` is empty where all are one, here and below.
    """
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    mass: cython.double
    weighted: cython.bint = weights.shape[0] > 0
    with cython.nogil:
        for i in range(labels.shape[0]):
            mass = weights[i] if weighted else 1.0
            totals[labels[i], 0] += mass
            for j in range(columns.shape[0]):
                totals[labels[i], 1 + j] += mass * columns[j, i]


def rank_neighbours(
    centres: cython.const[cython.double][:, ::1],
    neighbours: cython.longlong[:, ::1],
    between: cython.double[:, ::1],
) -> None:
    """Sort each row of `neighbours`, the other centres, by their distance, which is written to `between`.

    By insertion, since after a small move they are nearly in order.
    """
    m: cython.Py_ssize_t
    n: cython.Py_ssize_t
    p: cython.Py_ssize_t
    j: cython.Py_ssize_t
    other: cython.longlong
    offset: cython.double
    distance: cython.double
    with cython.nogil:
        for m in range(neighbours.shape[0]):
            for n in range(neighbours.shape[1]):
                other = neighbours[m, n]
                distance = 0.0
                for j in range(centres.shape[1]):
                    offset = centres[other, j] - centres[m, j]
                    distance += offset * offset
                distance = sqrt(distance)
                p = n
                while p > 0 and between[m, p - 1] > distance:
                    between[m, p] = between[m, p - 1]
                    neighbours[m, p] = neighbours[m, p - 1]
                    p -= 1
                between[m, p] = distance
                neighbours[m, p] = other


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def squared_distance(
    columns: cython.const[cython.float][:, ::1],
    i: cython.Py_ssize_t,
    centres: cython.const[cython.double][:, ::1],
    m: cython.Py_ssize_t,
) -> cython.double:
    """Of one vector from one centre."""
    j: cython.Py_ssize_t
    offset: cython.double
    total: cython.double = 0.0
    for j in range(columns.shape[0]):
        offset = columns[j, i] - centres[m, j]
        total += offset * offset
    return total


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def transfer(
    columns: cython.const[cython.float][:, ::1],
    i: cython.Py_ssize_t,
    mass: cython.double,
    old: cython.Py_ssize_t,
    new: cython.Py_ssize_t,
    totals: cython.double[:, ::1],
) -> cython.void:
    """Take a vector out of the sums of one cluster and into those of another."""
    j: cython.Py_ssize_t
    share: cython.double
    totals[old, 0] -= mass
    totals[new, 0] += mass
    for j in range(columns.shape[0]):
        share = mass * columns[j, i]
        totals[old, 1 + j] -= share
        totals[new, 1 + j] += share


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def nearest_two(
    columns: cython.const[cython.float][:, ::1],
    i: cython.Py_ssize_t,
    centres: cython.const[cython.double][:, ::1],
    neighbours: cython.const[cython.longlong][:, ::1],
    between: cython.const[cython.double][:, ::1],
    old: cython.Py_ssize_t,
    nearest: cython.double[::1],
    second: cython.double[::1],
) -> cython.Py_ssize_t:
    """The nearest centre of a vector, from the distance of its last one, which stands in `nearest[i]`.

    Writes the distances of the nearest and of the second nearest in the places of the vector.
    """
    p: cython.Py_ssize_t
    distance: cython.double
    new: cython.Py_ssize_t = old
    reach: cython.double = nearest[i]
    second[i] = 1e300
    for p in range(neighbours.shape[1]):
        if between[old, p] - reach >= second[i]:
            break
        distance = squared_distance(columns, i, centres, neighbours[old, p])
        if distance < second[i] * second[i]:
            second[i] = sqrt(distance)
            if second[i] < nearest[i]:
                distance = nearest[i]
                nearest[i] = second[i]
                second[i] = distance
                new = neighbours[old, p]
    return new


def reassign(
    columns: cython.const[cython.float][:, ::1],
    weights: cython.const[cython.double][::1],
    centres: cython.const[cython.double][:, ::1],
    neighbours: cython.const[cython.longlong][:, ::1],
    between: cython.const[cython.double][:, ::1],
    travelled: cython.const[cython.double][::1],
    furthest: cython.double,
    labels: cython.uchar[::1],
    slack: cython.double[::1],
    lower: cython.double[::1],
    totals: cython.double[:, ::1],
) -> None:
    """One round of Lloyd's method with bounds for each vector (Hamerly 2010); keeps `totals` up to date.

    No centre has moved further than `furthest` in all, and each with that no further than `travelled`; bounds
    hold for no movement at all: `lower` for the second nearest centre, `slack` what the nearest was nearer.
    Neighbours of the last centre are tried in turn, up to where none can be near (Newling, Fleuret 2016).
    """
    i: cython.Py_ssize_t
    old: cython.Py_ssize_t
    new: cython.Py_ssize_t
    nearest: cython.double
    second: cython.double
    weighted: cython.bint = weights.shape[0] > 0
    with cython.nogil:
        for i in range(labels.shape[0]):
            old = labels[i]
            if slack[i] > travelled[old]:
                continue
            nearest = sqrt(squared_distance(columns, i, centres, old))
            second = max(lower[i] - furthest, 0.5 * between[old, 0])
            new = old
            if nearest >= second:
                slack[i] = nearest
                new = nearest_two(columns, i, centres, neighbours, between, old, slack, lower)
                nearest = slack[i]
                second = lower[i]
            lower[i] = second + furthest
            slack[i] = (second - nearest) + travelled[new]
            if new != old:
                labels[i] = cython.cast(cython.uchar, new)
                transfer(columns, i, weights[i] if weighted else 1.0, old, new, totals)
