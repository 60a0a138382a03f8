"""Clusterings as intervals of ascending values: their edges, means and errors."""

import cython


def trace(previous: cython.const[cython.longlong][::1], edges: cython.longlong[::1]) -> None:
    """Write the edges of the best clustering of all values; there are as many as it has clusters and one."""
    at: cython.Py_ssize_t = previous.shape[0] - 1
    place: cython.Py_ssize_t
    with cython.nogil:
        for place in range(edges.shape[0] - 1, -1, -1):
            edges[place] = at
            at = previous[at]


def measure(
    values: cython.const[cython.double][::1],
    counts: cython.const[cython.double][::1],
    edges: cython.const[cython.longlong][::1],
    means: cython.double[::1],
    cost: cython.double[::1],
) -> None:
    """Write the mean of each cluster and the squared error of all, summed from differences."""
    cluster: cython.Py_ssize_t
    i: cython.Py_ssize_t
    first: cython.double
    mass: cython.double
    total: cython.double
    error: cython.double
    squared: cython.double = 0.0
    with cython.nogil:
        for cluster in range(edges.shape[0] - 1):
            first = values[edges[cluster]]
            mass = 0.0
            total = 0.0
            for i in range(edges[cluster], edges[cluster + 1]):
                mass += counts[i]
                total += counts[i] * (values[i] - first)
            means[cluster] = first + total / mass
            for i in range(edges[cluster], edges[cluster + 1]):
                error = values[i] - means[cluster]
                squared += counts[i] * error * error
    cost[0] = squared
