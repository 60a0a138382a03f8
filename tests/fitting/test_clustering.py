"""The clustering of least squared error, against every partition and against dynamic programs."""

import signal
from contextlib import contextmanager
from fractions import Fraction
from itertools import combinations, pairwise, product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from milpass.fitting.tables.clustering import cluster
from milpass.fitting.tables.distribution import Distribution
from tests.strategies import EFFORT, quick

SHIFT = 149  # every fp32 is a whole multiple of 2**-149
CLOSE = Fraction(1, 10**9)


@contextmanager
def at_most(seconds):
    """Fail where a search does not end."""

    def stop(number, frame):
        raise AssertionError(f"not done after {seconds} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def interval_costs(distribution):
    """The squared error of every interval, in units of 2**-298, exact as fractions."""
    values = [int(np.ldexp(value, SHIFT)) for value in distribution.values]
    counts = [int(count) for count in distribution.counts]
    costs = {}
    for start in range(len(values)):
        mass = first = second = 0
        for end, (value, count) in enumerate(zip(values[start:], counts[start:], strict=True), start + 1):
            mass, first, second = mass + count, first + count * value, second + count * value * value
            costs[start, end] = Fraction(second * mass - first * first, mass)
    return costs


def cost_of(edges, costs):
    return sum((costs[pair] for pair in pairwise(edges)), Fraction(0))


def least_of_all_partitions(costs, size, k):
    inner = combinations(range(1, size), min(k, size) - 1)
    return min(cost_of((0, *cuts, size), costs) for cuts in inner)


def least_by_dynamic_program(costs, size, k):
    """The quadratic program in whole numbers, 2**-100 of the unit lost at most in each interval."""
    whole = {pair: (cost.numerator << 100) // cost.denominator for pair, cost in costs.items()}
    best = [0, *(whole[0, end] for end in range(1, size + 1))]
    for _ in range(min(k, size) - 1):
        best = [0, *(min(best[i] + whole.get((i, end), 0) for i in range(end)) for end in range(1, size + 1))]
    return Fraction(best[size], 1 << 100)


def check(distribution, k, least):
    """The whole promise of `cluster`: optimal, measured, proven, well formed."""
    with at_most(2):
        found = cluster(distribution, k)
    values, edges = distribution.values, found.edges.tolist()
    assert (edges[0], edges[-1]) == (0, values.size)
    assert len(edges) - 1 <= k and all(a < b for a, b in pairwise(edges))
    assert all(
        values[a] <= mean <= values[b - 1] for (a, b), mean in zip(pairwise(edges), found.means, strict=True)
    )
    costs = interval_costs(distribution)
    cost, optimum = cost_of(edges, costs), least(costs, values.size, k)
    assert cost <= optimum * (1 + CLOSE)
    assert abs(Fraction(found.cost) * (1 << 2 * SHIFT) - cost) <= cost * CLOSE
    assert found.bound <= found.cost * (1 + 1e-12)
    assert found.bound >= found.cost * (1 - 1e-9)


def fp16(values):
    return np.array(values, np.float16)


def fp32(values):
    return np.array(values, np.float32)


KINDS = {
    "normal": lambda rng, n: fp16(rng.standard_normal(n)),
    "equal_steps": lambda rng, n: fp32(np.arange(n)),
    "duplicates": lambda rng, n: fp16(rng.integers(0, 12, n)),
    "fp16_extremes": lambda rng, n: fp16([*rng.integers(0, 40, n) * 6e-8, 65504, -65504]),
    "fp32_extremes": lambda rng, n: fp32([*rng.choice([1e-30, 3e-30, 1e30, -1e30, 0.0], n), 1.0]),
    "all_magnitudes": lambda rng, n: fp32(10.0 ** rng.uniform(-30, 30, n) * rng.choice([-1, 1], n)),
    "subnormals": lambda rng, n: fp32(rng.integers(-30, 30, n) * 1.4e-45),
    "far_from_zero": lambda rng, n: fp32(1000 + 1e-3 * rng.standard_normal(n)),
    "zeros": lambda rng, n: fp32(rng.choice([0.0, -0.0, 1.0, -2.0], n)),
}


@pytest.mark.parametrize("kind", KINDS)
@quick(max_examples=12, derandomize=True)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 40), k=st.sampled_from([2, 3, 4, 5, 8, 16]))
def test_equals_the_dynamic_program(kind, seed, size, k):
    rng = np.random.default_rng(seed)
    distribution = Distribution.of(KINDS[kind](rng, size))
    if seed % 3 == 0:  # counts that no array of this size could have
        counts = rng.choice([1.0, 2.0, 1e3, 1e6], distribution.counts.size)
        distribution = Distribution(distribution.values, counts)
    check(distribution, k, least_by_dynamic_program)


SMALL = st.one_of(
    st.lists(st.integers(-6, 6), min_size=1, max_size=10).map(fp16),
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=16), min_size=1, max_size=10).map(fp16),
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=10).map(fp32),
)


@quick(max_examples=250, derandomize=True)
@given(weight=SMALL, k=st.integers(2, 8))
@example(fp16([-0.0]), 2)
@example(fp32([7.0]), 8)
@example(fp32([-65504, 3e-7, 5e-7, 1e-6, 2e-6, 65504]), 4)  # sums of squares too coarse for the middle
@example(fp32([-0.72, -0.2, 1e30, 2e30]), 3)  # differ by 60 orders of magnitude
def test_equals_the_least_of_all_partitions(weight, k):
    check(Distribution.of(weight), k, least_of_all_partitions)


ENDLESS = {  # weights at which a search once went on for ever
    "fewer_clusters_at_a_lower_price": [
        *(-3.71059521472916e36, -4.0109613180607615e33, -7.948070711798183e31, -2.907903887309497e28),
        *(-1.782564814549926e22, -1.1872604384556308e22, -129126270763008.0, -4864917110784.0, -6494820.5),
        *(-2.1942907306302844e-15, -1.533032650834636e-22, -1.6147990618483164e-24, -1.2833391043593592e-26),
        *(1.101243168697795e-30, 6.94781091091055e-17, 1.999429287025123e-06, 0.012850853614509106),
        *(252.1993865966797, 2933829.5, 29593854.0, 99098048.0, 1566832657956864.0, 8.989631697757038e19),
    ],
    "small_values_under_the_noise_of_large_ones": [
        -65504,
        4e-7,
        5e-7,
        1e-6,
        1.1e-6,
        1.4e-6,
        1.6e-6,
        2e-6,
        2.3e-6,
        65504,
    ],
    "every_count_from_12_to_17_equally_good": range(35),
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("k", [8, 9, 16])
def test_a_search_ends(name, k):
    check(Distribution.of(fp32(ENDLESS[name])), k, least_by_dynamic_program)


def test_equal_steps_where_the_number_of_clusters_jumps_over_k():
    """Clusters of a and a + 1 values are equally good at some price: so are all numbers in between."""
    for size, k in product(range(3, 41, 3 if EFFORT < 1 else 1), range(2, 20)):
        with at_most(2):
            found = cluster(Distribution.of(fp32(range(size))), k)
        short, longer = divmod(size, k)
        lengths = [short + 1] * longer + [short] * (k - longer)
        optimum = sum(length * (length**2 - 1) / 12 for length in lengths)
        assert found.cost == pytest.approx(optimum, rel=1e-12)
        assert found.bound == pytest.approx(optimum, rel=1e-9)


def least_of_many(values, counts, k):
    """The least cost by divide and conquer over the cuts of each layer, in long double."""
    sums = [np.concatenate([[0], np.cumsum(counts * values**p, dtype=np.longdouble)]) for p in range(3)]
    best = interval_cost(sums, 0, np.arange(1, values.size + 1))
    best = np.concatenate([[0], best])
    for _ in range(k - 1):
        best = layer(sums, best)
    return float(best[-1])


def interval_cost(sums, start, end):
    mass, first, second = (column[end] - column[start] for column in sums)
    return second - first * first / mass


def layer(sums, before):
    """One cluster more: all ends of one depth of the recursion at a time, their cuts between neighbours'."""
    size = before.size - 1
    best, cut = np.zeros(size + 1, np.longdouble), np.zeros(size + 2, np.int64)
    cut[-1] = size
    step = 1 << size.bit_length()
    while step > 1:
        ends = np.arange(step // 2, size + 1, step)
        low = cut[ends - step // 2]
        high = np.minimum(cut[np.minimum(ends + step // 2, size + 1)], ends - 1)
        lengths = high - low + 1
        firsts = np.cumsum(lengths) - lengths
        starts = np.arange(lengths.sum()) + np.repeat(low - firsts, lengths)
        totals = before[starts] + interval_cost(sums, starts, np.repeat(ends, lengths))
        best[ends] = np.minimum.reduceat(totals, firsts)
        least = np.flatnonzero(totals == np.repeat(best[ends], lengths))
        cut[ends] = starts[least[np.searchsorted(least, firsts)]]
        step //= 2
    return best


def test_the_divide_and_conquer_of_these_tests_is_the_optimum():
    distribution = Distribution.of(fp16(np.random.default_rng(3).standard_t(3, 30)))
    costs = interval_costs(distribution)
    for k in (2, 5, 9):
        exact = least_by_dynamic_program(costs, distribution.values.size, k) / (1 << 2 * SHIFT)
        assert least_of_many(distribution.values, distribution.counts, k) == pytest.approx(
            float(exact), rel=1e-12
        )


SEVERAL = 600 if EFFORT < 1 else 2500  # the check takes time by its square


@pytest.mark.parametrize("k", [16, 64, 256])
def test_many_heavy_tailed_values(k):
    rng = np.random.default_rng(k)
    weight = fp16(rng.standard_t(3, 60_000) * 0.02)
    patterns = weight.view(np.uint16)  # numpy sorts fp16 wrongly on some processors
    distribution = Distribution.of(weight[np.isin(patterns, rng.permutation(np.unique(patterns))[:SEVERAL])])
    assert distribution.values.size == SEVERAL
    with at_most(10):
        found = cluster(distribution, k)
    assert found.cost == pytest.approx(least_of_many(distribution.values, distribution.counts, k), rel=1e-9)
    assert found.bound == pytest.approx(found.cost, rel=1e-9)
