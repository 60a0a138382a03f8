"""One-dimensional k-means at a price for each cluster: prefix sums, and one sweep.

The rows of `sums` are, before each position of the ascending values, the sums of w, of w x and of w x**2.
"""

import cython


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def sum_error(a: cython.double, b: cython.double, total: cython.double) -> cython.double:
    """What rounding took from total = a + b (Knuth's two-sum)."""
    part: cython.double = total - a
    return (a - (total - part)) + (b - part)


def accumulate(
    values: cython.const[cython.double][::1],
    counts: cython.const[cython.double][::1],
    centre: cython.double,
    sums: cython.double[:, ::1],
) -> None:
    """Write the three sums of the values less `centre`, each off by no more than its own rounding."""
    i: cython.Py_ssize_t
    size: cython.Py_ssize_t = values.shape[0]
    value: cython.double
    term: cython.double
    total: cython.double
    first: cython.double = 0.0
    first_lost: cython.double = 0.0
    second: cython.double = 0.0
    second_lost: cython.double = 0.0
    sums[0, 0] = 0.0
    sums[1, 0] = 0.0
    sums[2, 0] = 0.0
    with cython.nogil:
        for i in range(size):
            value = values[i] - centre
            term = counts[i] * value
            total = first + term
            first_lost += sum_error(first, term, total)
            first = total
            term *= value
            total = second + term
            second_lost += sum_error(second, term, total)
            second = total
            sums[0, i + 1] = sums[0, i] + counts[i]
            sums[1, i + 1] = first + first_lost
            sums[2, i + 1] = second + second_lost


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def less_squares(
    sums: cython.const[cython.double][:, ::1],
    heads: cython.const[cython.double][::1],
    start: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.double:
    """The cost up to `end` with a last cluster from `start`, price included, less the sum of squares.

    `heads` are these costs up to each position; the sum of squares up to `end` is the same for all starts.
    """
    part: cython.double = sums[1, end] - sums[1, start]
    return heads[start] - part * part / (sums[0, end] - sums[0, start])


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def best_start(
    sums: cython.const[cython.double][:, ::1],
    heads: cython.const[cython.double][::1],
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Where, from `first` to `last`, the last cluster up to `end` starts best; the first of several."""
    start: cython.Py_ssize_t
    found: cython.Py_ssize_t = first
    least: cython.double = less_squares(sums, heads, first, end)
    cost: cython.double
    better: cython.bint
    for start in range(first + 1, last + 1):
        cost = less_squares(sums, heads, start, end)
        better = cost < least
        least = cost if better else least
        found = start if better else found
    return found


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def settle(
    sums: cython.const[cython.double][:, ::1],
    price: cython.double,
    discounts: cython.const[cython.double][::1],
    best: cython.double[:, ::1],
    previous: cython.longlong[::1],
    heads: cython.double[::1],
    start: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.void:
    """Write down that the last cluster up to `end` is the one from `start`."""
    first: cython.double = sums[1, end] - sums[1, start]
    cost: cython.double = (sums[2, end] - sums[2, start]) - first * first / (sums[0, end] - sums[0, start])
    previous[end] = start
    best[0, end] = best[0, start] + (cost if end - start > 1 else 0.0) - discounts[end]
    best[1, end] = best[1, start] + 1.0
    heads[end] = best[0, end] + price * best[1, end] - sums[2, end]


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def starts_within(
    sums: cython.const[cython.double][:, ::1],
    heads: cython.const[cython.double][::1],
    previous: cython.const[cython.longlong][::1],
    first: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.bint:
    """Whether a last cluster up to `end` that starts at `first` or later beats the one written down."""
    start: cython.Py_ssize_t = best_start(sums, heads, first, end - 1, end)
    return less_squares(sums, heads, start, end) < less_squares(sums, heads, previous[end], end)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def fill(
    sums: cython.const[cython.double][:, ::1],
    price: cython.double,
    discounts: cython.const[cython.double][::1],
    best: cython.double[:, ::1],
    previous: cython.longlong[::1],
    heads: cython.double[::1],
    least: cython.Py_ssize_t,
    begin: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
) -> cython.void:
    """Write down the last clusters up to each end from `begin` to `last`, of those that start before `begin`.

    None starts before `least`.  Starts ascend with ends (Monge): those of the ends on both sides are limits.
    """
    end: cython.Py_ssize_t
    above: cython.Py_ssize_t
    below: cython.Py_ssize_t
    step: cython.Py_ssize_t = last + 1 - begin
    while step > 0:
        end = begin - 1 + step
        while end <= last:
            below = previous[end - step] if end - step >= begin else least
            above = previous[end + step] if end + step <= last else begin - 1
            settle(
                sums, price, discounts, best, previous, heads, best_start(sums, heads, below, above, end), end
            )
            end += 2 * step
        step = step // 2


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def last_outside(
    sums: cython.const[cython.double][:, ::1],
    heads: cython.const[cython.double][::1],
    previous: cython.const[cython.longlong][::1],
    begin: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """The last end up to which no cluster that starts at `begin` or later is better.

    If one is better for some end, one is for all later ones (Monge).
    """
    below: cython.Py_ssize_t = begin
    middle: cython.Py_ssize_t = last
    while below < last:
        if starts_within(sums, heads, previous, begin, middle):
            last = middle - 1
        else:
            below = middle
        middle = (below + last + 1) // 2
    return last


def sweep(
    sums: cython.const[cython.double][:, ::1],
    price: cython.double,
    discounts: cython.const[cython.double][::1],
    best: cython.double[:, ::1],
    previous: cython.longlong[::1],
    heads: cython.double[::1],
) -> None:
    """Find the best clustering up to each position when each cluster costs `price`.

    Writes its cost without the price and its number of clusters (the rows of `best`), and where its last
    cluster starts (`previous`); `discounts` are taken off the cost of each path through a position, so costs
    stay Monge.  All arrays have one element more than there are values.

    A cost takes no longer than a branch that is guessed wrong, so many are asked for in straight loops:
    positions are taken in blocks, shorter than the cluster before them, as if none started within a block.
    Where one does, the next block begins.
    """
    size: cython.Py_ssize_t = sums.shape[1] - 1
    least: cython.Py_ssize_t = 0
    begin: cython.Py_ssize_t = 1
    last: cython.Py_ssize_t
    outside: cython.Py_ssize_t
    length: cython.Py_ssize_t
    best[0, 0] = 0.0
    best[1, 0] = 0.0
    heads[0] = 0.0
    previous[0] = 0
    with cython.nogil:
        while begin <= size:
            length = 1
            while 4 * length <= begin - least and begin + 2 * length - 1 <= size:
                length *= 2
            last = begin + length - 1
            fill(sums, price, discounts, best, previous, heads, least, begin, last)
            outside = last_outside(sums, heads, previous, begin, last)
            least = previous[last] if outside == last else begin
            begin = outside + 1
