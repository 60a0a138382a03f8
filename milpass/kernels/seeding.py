"""Greedy k-means++ over blocks of vectors with bounding boxes.

Source: Arthur, Vassilvitskii, "k-means++: the advantages of careful seeding" (2007), section 5: of several
draws the one is taken that lowers the error most.  A block is passed over where the box lies
further from the draw than any of its vectors does from the seeds so far.
"""

import cython


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def draw(
    weights: cython.const[cython.double][::1],
    block: cython.Py_ssize_t,
    closest: cython.const[cython.double][::1],
    blocks: cython.const[cython.double][:, ::1],
    target: cython.double,
) -> cython.Py_ssize_t:
    """The vector at which the errors, summed up, pass the target; the last with any where they do not."""
    b: cython.Py_ssize_t = 0
    i: cython.Py_ssize_t
    last: cython.Py_ssize_t = 0
    error: cython.double
    for i in range(blocks.shape[0]):
        if blocks[i, 0] > 0.0:
            b = i
            if target < blocks[i, 0]:
                break
            target -= blocks[i, 0]
    for i in range(b * block, min(b * block + block, closest.shape[0])):
        error = closest[i] * weights[i] if weights.shape[0] > 0 else closest[i]
        if error > 0.0:
            last = i
            if target < error:
                break
            target -= error
    return last


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def distance_to(
    columns: cython.const[cython.float][:, ::1], i: cython.Py_ssize_t, seed: cython.Py_ssize_t
) -> cython.double:
    """The squared distance of two vectors."""
    j: cython.Py_ssize_t
    offset: cython.double
    total: cython.double = 0.0
    for j in range(columns.shape[0]):
        offset = cython.cast(cython.double, columns[j, i]) - cython.cast(cython.double, columns[j, seed])
        total += offset * offset
    return total


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def is_far(
    columns: cython.const[cython.float][:, ::1],
    low: cython.const[cython.double][:, ::1],
    high: cython.const[cython.double][:, ::1],
    b: cython.Py_ssize_t,
    seed: cython.Py_ssize_t,
    limit: cython.double,
) -> cython.bint:
    """Whether the whole box of a block is at least as far from a vector as the limit."""
    j: cython.Py_ssize_t
    value: cython.double
    offset: cython.double
    total: cython.double = 0.0
    for j in range(low.shape[1]):
        value = columns[j, seed]
        offset = low[b, j] - value
        offset = offset if offset > 0.0 else 0.0
        offset = value - high[b, j] if value > high[b, j] else offset
        total += offset * offset
    return total >= limit


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def error_with(
    columns: cython.const[cython.float][:, ::1],
    weights: cython.const[cython.double][::1],
    low: cython.const[cython.double][:, ::1],
    high: cython.const[cython.double][:, ::1],
    block: cython.Py_ssize_t,
    closest: cython.const[cython.double][::1],
    blocks: cython.const[cython.double][:, ::1],
    seed: cython.Py_ssize_t,
) -> cython.double:
    """The error that would be left with one more seed."""
    b: cython.Py_ssize_t
    i: cython.Py_ssize_t
    error: cython.double
    total: cython.double = 0.0
    weighted: cython.bint = weights.shape[0] > 0
    for b in range(blocks.shape[0]):
        if is_far(columns, low, high, b, seed, blocks[b, 1]):
            total += blocks[b, 0]
            continue
        for i in range(b * block, min(b * block + block, closest.shape[0])):
            error = min(distance_to(columns, i, seed), closest[i])
            total += error * weights[i] if weighted else error
    return total


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def add_seed(
    columns: cython.const[cython.float][:, ::1],
    weights: cython.const[cython.double][::1],
    low: cython.const[cython.double][:, ::1],
    high: cython.const[cython.double][:, ::1],
    block: cython.Py_ssize_t,
    seed: cython.Py_ssize_t,
    number: cython.Py_ssize_t,
    labels: cython.uchar[::1],
    closest: cython.double[::1],
    blocks: cython.double[:, ::1],
) -> cython.double:
    """Give a seed the vectors that are nearest to it; returns the error that is left."""
    b: cython.Py_ssize_t
    i: cython.Py_ssize_t
    error: cython.double
    greatest: cython.double
    total: cython.double
    left: cython.double = 0.0
    weighted: cython.bint = weights.shape[0] > 0
    for b in range(blocks.shape[0]):
        if not is_far(columns, low, high, b, seed, blocks[b, 1]):
            total = 0.0
            greatest = 0.0
            for i in range(b * block, min(b * block + block, closest.shape[0])):
                error = distance_to(columns, i, seed)
                if error < closest[i]:
                    closest[i] = error
                    labels[i] = cython.cast(cython.uchar, number)
                error = closest[i]
                total += error * weights[i] if weighted else error
                greatest = error if error > greatest else greatest
            blocks[b, 0] = total
            blocks[b, 1] = greatest
        left += blocks[b, 0]
    return left


def add_seeds(
    columns: cython.const[cython.float][:, ::1],
    weights: cython.const[cython.double][::1],
    low: cython.const[cython.double][:, ::1],
    high: cython.const[cython.double][:, ::1],
    block: cython.Py_ssize_t,
    draws: cython.const[cython.double][:, ::1],
    first: cython.Py_ssize_t,
    labels: cython.uchar[::1],
    closest: cython.double[::1],
    blocks: cython.double[:, ::1],
    seeds: cython.longlong[::1],
    found: cython.longlong[::1],
) -> None:
    """Write the positions of more seeds, and their number: fewer where each vector has a centre at its place.

    `draws` (seeds, tries) are uniform below one.  `labels` and `closest` hold the nearest of the `first`
    centres so far and its squared distance, `blocks` the sum (weighted) and the greatest of these for
    each block; all are kept up to date.
    """
    n: cython.Py_ssize_t
    t: cython.Py_ssize_t
    b: cython.Py_ssize_t
    seed: cython.Py_ssize_t
    best: cython.Py_ssize_t
    total: cython.double
    least: cython.double
    left: cython.double = 0.0
    with cython.nogil:
        for b in range(blocks.shape[0]):
            left += blocks[b, 0]
        found[0] = 0
        for n in range(seeds.shape[0]):
            if left <= 0.0:
                break
            best = 0
            least = -1.0
            for t in range(draws.shape[1]):
                seed = draw(weights, block, closest, blocks, draws[n, t] * left)
                total = error_with(columns, weights, low, high, block, closest, blocks, seed)
                if total < least or least < 0.0:
                    least = total
                    best = seed
            seeds[n] = best
            found[0] = n + 1
            left = add_seed(columns, weights, low, high, block, best, first + n, labels, closest, blocks)
