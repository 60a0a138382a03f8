"""One-dimensional k-means at a price for each cluster: prefix sums, the cost of an interval, one sweep.

The columns of `sums` are, before each position of the ascending values, the sums of w, of w x and of
w x**2, and where two more follow, what rounding took from the second and the third.
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
    sums[0, 1] = 0.0
    sums[0, 2] = 0.0
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
            sums[i + 1, 0] = sums[i, 0] + counts[i]
            sums[i + 1, 1] = first + first_lost
            sums[i + 1, 2] = second + second_lost


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def step_exactly(
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
    first: cython.double = sums[source, 1] + term
    second: cython.double = sums[source, 2] + square
    sums[target, 0] = sums[source, 0] + count
    sums[target, 1] = first
    sums[target, 2] = second
    sums[target, 3] = sums[source, 3] + (sum_error(sums[source, 1], term, first) + term_lost)
    sums[target, 4] = sums[source, 4] + (sum_error(sums[source, 2], square, second) + square_lost)


def accumulate_exactly(
    values: cython.const[cython.double][::1],
    counts: cython.const[cython.double][::1],
    origin: cython.Py_ssize_t,
    sums: cython.double[:, ::1],
) -> None:
    """Write the sums in double-double (five columns), not centred.

    They start from zero at `origin`, the position of the first value that is not negative, and grow
    outwards: huge values at either end take no digits from the small ones.
    """
    i: cython.Py_ssize_t
    size: cython.Py_ssize_t = values.shape[0]
    for i in range(5):
        sums[origin, i] = 0.0
    with cython.nogil:
        for i in range(origin, size):
            step_exactly(values[i], counts[i], sums, i, i + 1)
        for i in range(origin - 1, -1, -1):
            step_exactly(values[i], -counts[i], sums, i + 1, i)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def exact_cost(
    sums: cython.const[cython.double][:, ::1], start: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> cython.double:
    """The cost of an interval from sums in double-double."""
    mass: cython.double = sums[end, 0] - sums[start, 0]
    raw: cython.double = sums[end, 1] - sums[start, 1]
    lost: cython.double = sum_error(sums[end, 1], -sums[start, 1], raw)
    lost += sums[end, 3] - sums[start, 3]
    first: cython.double = raw + lost
    lost -= first - raw
    square: cython.double = first * first
    square_lost: cython.double = product_error(first, first, square) + 2.0 * first * lost
    share: cython.double = square / mass
    back: cython.double = share * mass
    rest: cython.double = (square - back) - product_error(share, mass, back) + square_lost
    second: cython.double = sums[end, 2] - sums[start, 2]
    lost = sum_error(sums[end, 2], -sums[start, 2], second) + (sums[end, 4] - sums[start, 4])
    cost: cython.double = second - share
    return cost + (sum_error(second, -share, cost) + (lost - rest / mass))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def interval_cost(
    sums: cython.const[cython.double][:, ::1],
    exact: cython.bint,
    start: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.double:
    """The squared error of the values from start to end (exclusive) around their mean."""
    first: cython.double
    if end - start == 1:
        return 0.0
    if exact:
        return exact_cost(sums, start, end)
    first = sums[end, 1] - sums[start, 1]
    return (sums[end, 2] - sums[start, 2]) - first * first / (sums[end, 0] - sums[start, 0])


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def is_better(
    sums: cython.const[cython.double][:, ::1],
    exact: cython.bint,
    price: cython.double,
    best: cython.const[cython.double][:, ::1],
    late: cython.Py_ssize_t,
    early: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
) -> cython.bint:
    """Whether a last cluster that starts at `late` beats one that starts at `early`, up to `end`.

    Costs are compared apart from what is paid for clusters, which may be greater by any factor.  Where sums
    are not exact the sums of squares up to `end` drop out, and both sides are multiplied by the masses, since
    a division takes longer than all the rest.
    """
    saved: cython.double = price * (best[early, 1] - best[late, 1])
    late_mass: cython.double
    early_mass: cython.double
    late_first: cython.double
    early_first: cython.double
    more: cython.double
    if exact:
        more = best[late, 0] + exact_cost(sums, late, end) - (best[early, 0] + exact_cost(sums, early, end))
        return more < saved
    late_mass = sums[end, 0] - sums[late, 0]
    early_mass = sums[end, 0] - sums[early, 0]
    late_first = sums[end, 1] - sums[late, 1]
    early_first = sums[end, 1] - sums[early, 1]
    more = (best[late, 0] - sums[late, 2]) - (best[early, 0] - sums[early, 2]) - saved
    return more * late_mass * early_mass < (
        late_first * late_first * early_mass - early_first * early_first * late_mass
    )


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.nogil
def first_better(
    sums: cython.const[cython.double][:, ::1],
    exact: cython.bint,
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
    while above <= size and not is_better(sums, exact, price, best, late, early, above):
        below = above
        step *= 2
        above += step
    if above > size:
        above = size + 1
        if below == size or not is_better(sums, exact, price, best, late, early, size):
            return above
        above = size
    while above - below > 1:
        middle = (below + above) // 2
        better = is_better(sums, exact, price, best, late, early, middle)
        above = middle if better else above
        below = below if better else middle
    return above


def sweep(
    sums: cython.const[cython.double][:, ::1],
    exact: cython.bint,
    price: cython.double,
    discounts: cython.const[cython.double][::1],
    best: cython.double[:, ::1],
    previous: cython.longlong[::1],
    candidates: cython.longlong[::1],
    starts: cython.longlong[::1],
) -> None:
    """Find the best clustering up to each position when each cluster costs `price`.

    Writes its cost without the price and its number of clusters (the columns of `best`), and where its
    last cluster starts (`previous`).  The queue holds the starts of a last cluster that are still the best
    somewhere ahead (`candidates`), and the end from which each is (`starts`); the Monge property keeps both
    ascending.  `discounts` are taken off the cost of each path through a position, so costs stay Monge.  They
    and the four arrays written have one element more than there are values.
    """
    size: cython.Py_ssize_t = sums.shape[0] - 1
    head: cython.Py_ssize_t = 0
    tail: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t
    start: cython.Py_ssize_t
    takeover: cython.Py_ssize_t
    best[0, 0] = 0.0
    best[0, 1] = 0.0
    candidates[0] = 0
    starts[0] = 1
    with cython.nogil:
        for end in range(1, size + 1):
            while head < tail and starts[head + 1] <= end:
                head += 1
            start = candidates[head]
            best[end, 0] = best[start, 0] + interval_cost(sums, exact, start, end) - discounts[end]
            best[end, 1] = best[start, 1] + 1.0
            previous[end] = start
            if end == size:
                break
            starts[head] = end + 1
            while tail >= head and is_better(sums, exact, price, best, end, candidates[tail], starts[tail]):
                tail -= 1
            takeover = end + 1
            if tail >= head:
                takeover = first_better(sums, exact, price, best, end, candidates[tail], starts[tail], size)
            if takeover <= size:
                tail += 1
                candidates[tail] = end
                starts[tail] = takeover
