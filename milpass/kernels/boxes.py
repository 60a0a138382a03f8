"""Vectors brought into an order in which neighbours lie close together, cut into blocks with bounding boxes.

A cell is a place in a grid of quantiles, numbered along a Z-order curve (Morton 1966).
"""

import cython


def find_cells(
    vectors: cython.const[cython.float][:, ::1],
    cuts: cython.const[cython.float][:, ::1],
    codes: cython.const[cython.ushort][:, ::1],
    cells: cython.ushort[::1],
    starts: cython.longlong[::1],
) -> None:
    """Write the cell of each vector, and add it to the count at `starts[cell + 1]`.

    `cuts` holds 2**bits - 1 ascending values for each axis of the grid, `codes` what the place between them
    adds to the number of the cell.
    """
    i: cython.Py_ssize_t
    axis: cython.Py_ssize_t
    found: cython.Py_ssize_t
    step: cython.Py_ssize_t
    half: cython.Py_ssize_t = (cuts.shape[1] + 1) // 2
    value: cython.float
    cell: cython.int
    with cython.nogil:
        for i in range(vectors.shape[0]):
            cell = 0
            for axis in range(cuts.shape[0]):
                value = vectors[i, axis]
                found = 0
                step = half
                while step > 0:
                    found += step if value > cuts[axis, found + step - 1] else 0
                    step >>= 1
                cell |= codes[axis, found]
            cells[i] = cython.cast(cython.ushort, cell)
            starts[cell + 1] += 1


def order_by_cell(
    cells: cython.const[cython.ushort][::1], starts: cython.longlong[::1], order: cython.uint[::1]
) -> None:
    """Write the positions of the vectors, cell by cell (a counting sort); each start moves to its end."""
    i: cython.Py_ssize_t
    with cython.nogil:
        for i in range(cells.shape[0]):
            order[starts[cells[i]]] = cython.cast(cython.uint, i)
            starts[cells[i]] += 1


def gather(
    vectors: cython.const[cython.float][:, ::1],
    order: cython.const[cython.uint][::1],
    columns: cython.float[:, ::1],
) -> None:
    """Write the vectors at the positions in `order`, transposed: a row for each component."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    with cython.nogil:
        for i in range(order.shape[0]):
            for j in range(vectors.shape[1]):
                columns[j, i] = vectors[order[i], j]


def bound(
    columns: cython.const[cython.float][:, ::1],
    block: cython.Py_ssize_t,
    low: cython.double[:, ::1],
    high: cython.double[:, ::1],
) -> None:
    """Write the bounding box of each `block` consecutive vectors; the last block may be shorter."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    b: cython.Py_ssize_t
    least: cython.float
    greatest: cython.float
    value: cython.float
    size: cython.Py_ssize_t = columns.shape[1]
    with cython.nogil:
        for b in range(low.shape[0]):
            for j in range(columns.shape[0]):
                least = columns[j, b * block]
                greatest = least
                for i in range(b * block + 1, min(b * block + block, size)):
                    value = columns[j, i]
                    least = value if value < least else least
                    greatest = value if value > greatest else greatest
                low[b, j] = least
                high[b, j] = greatest


def hand_back(
    columns: cython.const[cython.float][:, ::1],
    centres: cython.const[cython.double][:, ::1],
    labels: cython.const[cython.uchar][::1],
    order: cython.const[cython.uint][::1],
    indices: cython.uchar[::1],
    greatest: cython.double[::1],
) -> None:
    """Write each label to the place of its vector; raise `greatest` to the greatest error of an element."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    offset: cython.double
    with cython.nogil:
        for i in range(labels.shape[0]):
            indices[order[i]] = labels[i]
            for j in range(columns.shape[0]):
                offset = columns[j, i] - centres[labels[i], j]
                offset = offset if offset > 0.0 else -offset
                greatest[0] = offset if offset > greatest[0] else greatest[0]
