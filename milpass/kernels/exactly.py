"""One-dimensional k-means at a price for each cluster, in sums of double-double.

The rows of `sums` are, before each position of the ascending values, the sums of w, of w x and of w x**2, and
what rounding took from the second and the third.
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


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def product_error(a: cython.double, b: cython.double, product: cython.double) -> cython.double:
    """What rounding took from product = a * b (Dekker's two-product, splitting by 2**27 + 1)."""
    scaled_a: cython.double = 134217729.0 * a
    high_a: cython.double = scaled_a - (scaled_a - a)
    low_a: cython.double = a - high_a
    scaled_b: cython.double = 134217729.0 * b
    high_b: cython.double = scaled_b - (scaled_b - b)
    low_b: cython.double = b - high_b
    return ((high_a * high_b - product) + high_a * low_b + low_a * high_b) + low_a * low_b


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def step(
    value: cython.double,
    count: cython.double,
    sums: cython.double[:, ::1],
    source: cython.Py_ssize_t,
    target: cython.Py_ssize_t,
) -> cython.void:
    """Carry the sums from one position to the next; a negative count takes the value out."""
    term: cython.double = count * value
    term_lost: cython.double = product_error(count, value, term)
    square: cython.double = term * value
    square_lost: cython.double = product_error(term, value, square) + term_lost * value
    first: cython.double = sums[1, source] + term
    second: cython.double = sums[2, source] + square
    sums[0, target] = sums[0, source] + count
    sums[1, target] = first
    sums[2, target] = second
    sums[3, target] = sums[3, source] + (sum_error(sums[1, source], term, first) + term_lost)
    sums[4, target] = sums[4, source] + (sum_error(sums[2, source], square, second) + square_lost)


def accumulate(
    values: cython.const[cython.double][::1],
    counts: cython.const[cython.double][::1],
    origin: cython.Py_ssize_t,
    sums: cython.double[:, ::1],
) -> None:
    """Write the sums in double-double not centred.

    They start from zero at `origin`, the position of the first value that is not negative, and grow
    outwards: huge values at either end take no digits from the small ones.
    """
    i: cython.Py_ssize_t
    size: cython.Py_ssize_t = values.shape[0]
    for i in range(5):
        sums[i, origin] = 0.0
    with cython.nogil:
        for i in range(origin, size):
            step(values[i], counts[i], sums, i, i + 1)
        for i in range(origin - 1, -1, -1):
            step(values[i], -counts[i], sums, i + 1, i)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def interval_cost(
    sums: cython.const[cython.double][:, ::1], start: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> cython.double:
    """The squared error of the values from start to end (exclusive) around their mean."""
    if end - start == 1:
        return 0.0
    mass: cython.double = sums[0, end] - sums[0, start]
    raw: cython.double = sums[1, end] - sums[1, start]
    lost: cython.double = sum_error(sums[1, end], -sums[1, start], raw)
    lost += sums[3, end] - sums[3, start]
    first: cython.double = raw + lost
    lost -= first - raw
    square: cython.double = first * first
    square_lost: cython.double = product_error(first, first, square) + 2.0 * first * lost
    share: cython.double = square / mass
    back: cython.double = share * mass
    rest: cython.double = (square - back) - product_error(share, mass, back) + square_lost
    second: cython.double = sums[2, end] - sums[2, start]
    lost = sum_error(sums[2, end], -sums[2, start], second) + (sums[4, end] - sums[4, start])
    cost: cython.double = second - share
    return cost + (sum_error(second, -share, cost) + (lost - rest / mass))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def is_better(
    sums: cython.const[cython.double][:, ::1],
    price: cython.double,
    best: cython.const[cython.double][:, ::1],
    late: cython.Py_ssize_t,
    early: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.bint:
    """Whether a last cluster that starts at `late` beats one that starts at `early`, up to `end`.

    Costs are compared apart from what is paid for clusters, which may be greater by any factor.
    """
    saved: cython.double = price * (best[1, early] - best[1, late])
    later: cython.double = best[0, late] + interval_cost(sums, late, end)
    earlier: cython.double = best[0, early] + interval_cost(sums, early, end)
    return later - earlier < saved


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def first_better(
    sums: cython.const[cython.double][:, ::1],
    price: cython.double,
    best: cython.const[cython.double][:, ::1],
    late: cython.Py_ssize_t,
    early: cython.Py_ssize_t,
    below: cython.Py_ssize_t,
    size: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """The first end after `below` from which on `late` beats `early`; past `size` where it never does."""
    step: cython.Py_ssize_t = 1
    above: cython.Py_ssize_t = below + 1
    middle: cython.Py_ssize_t
    better: cython.bint
    while above <= size and not is_better(sums, price, best, late, early, above):
        below = above
        step *= 2
        above += step
    if above > size:
        above = size + 1
        if below == size or not is_better(sums, price, best, late, early, size):
            return above
        above = size
    while above - below > 1:
        middle = (below + above) // 2
        better = is_better(sums, price, best, late, early, middle)
        above = middle if better else above
        below = below if better else middle
    return above


def sweep(
    sums: cython.const[cython.double][:, ::1],
    price: cython.double,
    discounts: cython.const[cython.double][::1],
    best: cython.double[:, ::1],
    previous: cython.longlong[::1],
    candidates: cython.longlong[::1],
    starts: cython.longlong[::1],
) -> None:
    """Find the best clustering up to each position when each cluster costs `price`.

    Writes its cost without the price and its number of clusters (the rows of `best`), and where its last
    cluster starts (`previous`); `discounts` are taken off the cost of each path through a position, so costs
    stay Monge.  All arrays have one element more than there are values.

    Costs take long here, so few are asked for: a queue holds the starts of a last cluster that are still the
    best somewhere ahead (`candidates`), and the end from which each is (`starts`); the Monge property keeps
    both ascending.
    """
    size: cython.Py_ssize_t = sums.shape[1] - 1
    head: cython.Py_ssize_t = 0
    tail: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t
    start: cython.Py_ssize_t
    takeover: cython.Py_ssize_t
    best[0, 0] = 0.0
    best[1, 0] = 0.0
    previous[0] = 0
    candidates[0] = 0
    starts[0] = 1
    with cython.nogil:
        for end in range(1, size + 1):
            while head < tail and starts[head + 1] <= end:
                head += 1
            start = candidates[head]
            best[0, end] = best[0, start] + interval_cost(sums, start, end) - discounts[end]
            best[1, end] = best[1, start] + 1.0
            previous[end] = start
            if end == size:
                break
            starts[head] = end + 1
            while tail >= head and is_better(sums, price, best, end, candidates[tail], starts[tail]):
                tail -= 1
            takeover = end + 1
            if tail >= head:
                takeover = first_better(sums, price, best, end, candidates[tail], starts[tail], size)
            if takeover <= size:
                tail += 1
                candidates[tail] = end
                starts[tail] = takeover
