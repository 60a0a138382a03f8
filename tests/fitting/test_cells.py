"""The best table from cells, against full sweeps and element by element."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from milpass import fit_lut
from milpass.encodings import indices as indices_of_encodings
from milpass.fitting import mode_of
from milpass.fitting.fitted import NotFittable, Terms
from milpass.fitting.large import gathered, is_streamed
from milpass.fitting.large.layout import Layout, counted
from milpass.fitting.large.narrowing import Paths, Told, narrowed
from milpass.fitting.large.nearest import cuts, stored
from milpass.fitting.large.streaming import best_table
from milpass.fitting.tables.clustering import cluster
from milpass.fitting.tables.distribution import Distribution
from milpass.fitting.tables.table import Entries, palettized
from tests.strategies import EFFORT, quick

CLOSE = 1e-9

KINDS = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "uniform": lambda rng, n: rng.random(n),
    "heavy_tails": lambda rng, n: rng.standard_t(2, n),
    "heaviest_tails": lambda rng, n: rng.standard_t(1, n),
    "two_modes": lambda rng, n: rng.standard_normal(n) * 0.1 + rng.choice([-3, 1], n),
    "equal_steps": lambda rng, n: np.arange(n),
    "duplicates": lambda rng, n: rng.integers(-40, 40, n),
    "half_zeros": lambda rng, n: rng.standard_normal(n) * rng.choice([0, 0, 1, -1], n),
    "far_from_zero": lambda rng, n: 1000 + 1e-3 * rng.standard_normal(n),
    "one_binade": lambda rng, n: 1.5 + 1e-2 * rng.standard_normal(n),
    "subnormals": lambda rng, n: rng.integers(-3000, 3000, n) * 1.4e-45,
    "all_magnitudes": lambda rng, n: 10.0 ** rng.uniform(-38, 38, n) * rng.choice([-1, 1], n),
    "near_ties": lambda rng, n: np.round(rng.standard_normal(n), 1) * (1 + 1e-7 * rng.integers(0, 3, n)),
}
# Of each third one while one works, all in the suite.
SOME = list(KINDS)[:: 1 if EFFORT >= 1 else 3]


def drawn(kind, seed, size):
    return KINDS[kind](np.random.default_rng(seed), size).astype(np.float32)


def check(array, k, **options):
    found, full = best_table(array, k, **options), cluster(Distribution.of(array), k)
    assert found.cost == pytest.approx(full.cost, rel=CLOSE, abs=0)
    assert found.cost * (1 - CLOSE) <= found.bound <= found.cost
    assert np.all(np.diff(found.means) > 0)
    if full.cost == 0:
        assert found.means.tolist() == full.means.tolist()


FEW = st.sampled_from([1, 4])  # so few cells that there are several rounds, even of few values


@pytest.mark.parametrize("kind", SOME)
@quick(max_examples=60)
@given(
    seed=st.integers(0, 2**32), power=st.floats(1, 10), k=st.sampled_from([2, 3, 4, 5, 8, 16, 64]), finer=FEW
)
@example(seed=7317, power=7.671875, k=64, finer=1)  # many prices tie, and rounding decides between counts
def test_equals_the_full_sweep(kind, seed, power, k, finer):
    check(drawn(kind, seed, int(2**power)), k, finer=finer)


@pytest.mark.parametrize("finer", [1, 4])
@pytest.mark.parametrize(
    ("kind", "k"),
    [("one_binade", 2), ("one_binade", 3), ("two_modes", 3), ("equal_steps", 3), ("subnormals", 8)],
)
def test_equals_the_full_sweep_where_risks_decide(kind, k, finer):
    """Few coarse cells to each cluster: without what moving a boundary may cost, these come out wrong."""
    for size in (60, 250, 800) if EFFORT >= 1 else (250,):
        check(drawn(kind, 0, size), k, finer=finer)
        check(-drawn(kind, 0, size), k, finer=finer)


@pytest.mark.parametrize("kind", ["heavy_tails", "two_modes", "far_from_zero", "half_zeros"])
@pytest.mark.parametrize("k", [16, 64] if EFFORT >= 1 else [16])
def test_equals_the_full_sweep_of_many(kind, k):
    check(drawn(kind, 1, 1 << 16), k)


def test_equals_the_full_sweep_with_pieces_summed_few_at_a_time(monkeypatch):
    monkeypatch.setattr(gathered, "BLOCK", 3)
    for kind in ("one_binade", "half_zeros"):
        check(drawn(kind, 2, 700), 4, finer=4)


@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, -3e38, 1.4e-45])
def test_a_constant(value):
    found = best_table(np.full(9, value, np.float32), 4)
    assert found.means.tolist() == [np.float32(value)] and found.means.tobytes() != np.float64(-0.0).tobytes()
    assert (found.cost, found.bound) == (0.0, 0.0)


def test_zeros_of_both_signs_are_one_value():
    found = best_table(np.array([0.0, -0.0, 1.0, -0.0], np.float32), 8)
    assert found.means.tolist() == [0.0, 1.0]


SIGNALLING = np.uint32(0x7FA00001).view(np.float32)


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf, SIGNALLING])
def test_what_is_not_finite(bad):
    array = np.ones((4, 5, 6), np.float32)
    array[2, 2, 5] = array[3, 0, 0] = bad
    with pytest.raises(NotFittable, match=r"2 of 120 elements are not finite, the first at \[2, 2, 5\]"):
        best_table(array, 4)


def squared_error(values, counts):
    return np.sum(counts * (values - np.average(values, weights=counts)) ** 2)


@quick(max_examples=100)
@given(seed=st.integers(0, 2**32), k=st.integers(2, 4))
def test_least_through_each_end_of_all_clusterings(seed, k):
    """Every choice of ends, each less what moving boundaries there may have cost."""
    rng = np.random.default_rng(seed)
    cells = counted(rng.standard_t(2, 7).astype(np.float32).view(np.uint32), Layout.coarse()).cells
    best = cluster(cells.distribution, k)
    risks = best.price * rng.uniform(0, 1.5, cells.size)
    more, tolerance = Paths.of(cells, best, k).through(risks)
    several = risks + (k - 1) * np.maximum(risks - best.price, 0)
    discounts = np.maximum(several[1:], several[:-1])
    least = np.full(cells.size + 1, np.inf)
    for chosen in product([False, True], repeat=cells.size - 1):
        edges = [0, *(np.flatnonzero(chosen) + 1), cells.size]
        cost = sum(squared_error(cells.means[a:b], cells.counts[a:b]) for a, b in pairwise(edges))
        excess = cost + best.price * (len(edges) - 1 - k) - best.cost - np.sum(discounts[list(chosen)])
        least[edges] = np.minimum(least[edges], excess)
    scale = best.cost + k * best.price
    assert more == pytest.approx(least, rel=1e-9, abs=1e-9 * scale)
    at_ends = k * sum(max(risks[end] - best.price, 0) for end in (0, -1))
    assert at_ends <= tolerance <= at_ends + 1e-9 * scale


def test_no_elements():
    with pytest.raises(NotFittable, match="no elements"):
        best_table(np.empty((0, 3), np.float32), 4)


def test_kmeans_takes_cells_for_a_large_weight():
    """Strided, in two axes: the table, the indices and the proof are those of the general way."""
    weight = drawn("heavy_tails", 3, 1 << 18).reshape(512, 512)[:, ::2].T
    assert is_streamed(weight, 16)
    one = mode_of("lut", "kmeans").fit(weight, fit_lut(nbits=4), Terms(range(1, 9)))
    distribution = Distribution.of(weight)
    best = cluster(distribution, 16)
    two = palettized(weight, distribution, Entries(best.means, best.cost, best.bound), 4)
    assert one.encoding == two.encoding
    assert one.quality.squared_error == pytest.approx(two.quality.squared_error, rel=CLOSE)
    assert one.quality.bound == pytest.approx(two.quality.bound, rel=CLOSE)


@pytest.mark.parametrize("kind", SOME)
@pytest.mark.parametrize("k", [3, 16])
@pytest.mark.parametrize("sign", [1, -1] if EFFORT >= 1 else [1])
def test_no_boundary_of_the_optimum_is_in_a_cell_that_is_settled(kind, k, sign):
    """And means at a boundary are no further apart, and its move costs no more, than the cell says."""
    array = sign * drawn(kind, k, 1500)
    full = cluster(Distribution.of(array), k)
    cells = counted(array.view(np.uint32), Layout.coarse()).cells
    told, _ = narrowed(Told(cells), k)
    for one, two in pairwise(full.means):
        middle = (one + two) / 2
        for cell in np.flatnonzero((told.cells.lows < middle) & (middle < told.cells.highs)):
            low, high = told.cells.lows[cell], told.cells.highs[cell]
            inside = array[(array >= low) & (array <= high)].astype(np.float64)
            if inside.min() > middle or inside.max() <= middle:
                continue  # the boundary is beside the values
            assert told.cells.live[cell]
            assert told.cells.reaches[cell] >= two - one
            moves = [np.sum(np.maximum(sign * (inside - middle), 0)) * 2 * (two - one) for sign in (1, -1)]
            assert min(moves) <= told.cells.risks[cell] * (1 + 1e-9)


@pytest.mark.parametrize("kind", SOME)
def test_cells_hold_the_values(kind):
    array = drawn(kind, 5, 250)
    coarse = counted(array.view(np.uint32), Layout.coarse())
    layout = Layout.finer(coarse.cells.only(coarse.cells.live), coarse.uppers[coarse.cells.live], 200)
    ascending = np.sort(array).astype(np.float64)
    for cells in (coarse.cells, counted(array.view(np.uint32), layout).cells):
        assert np.sum(cells.counts) == array.size
        stop = 0
        for low, high, count, mean, scatter, single in zip(
            cells.lows, cells.highs, cells.counts, cells.means, cells.scatters, ~cells.live, strict=True
        ):
            inside = ascending[stop : stop + int(count)]
            stop += int(count)
            assert low <= inside[0] and inside[-1] <= high
            assert single == (inside[0] == inside[-1])
            assert mean == pytest.approx(np.mean(inside), rel=1e-14, abs=0)
            assert scatter == pytest.approx(np.sum((inside - mean) ** 2), rel=1e-9, abs=0)


@quick(max_examples=150)
@given(table=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=2, max_size=8))
@example([-3.4028234663852886e38, -3.4028234663852886e38])
def test_cuts_are_the_last_that_the_lower_entry_takes(table):
    table = np.sort(np.array(table, np.float32)) + np.float32(0)
    found, reals = cuts(table), table.astype(np.float64)
    middles = (reals[:-1] + reals[1:]) / 2
    with np.errstate(over="ignore"):
        after = np.nextafter(found, np.float32(np.inf))
    assert np.all(found <= middles) and np.all(middles < after)


@pytest.mark.parametrize("kind", SOME)
@pytest.mark.parametrize("nbits", [1, 4])
def test_a_stored_table_is_what_the_general_way_stores(kind, nbits, monkeypatch):
    monkeypatch.setattr(indices_of_encodings, "PART", 512)
    array = drawn(kind, 7, 1400).reshape(2, 700)
    entries = Entries(best_table(array, 1 << nbits).means, 1.0, 0.5)
    one = stored(array, entries, nbits)
    two = palettized(array, Distribution.of(array), entries, nbits)
    assert one.encoding == two.encoding
    for measure in ("squared_error", "max_error", "signal", "optimum", "bound"):
        assert getattr(one.quality, measure) == pytest.approx(getattr(two.quality, measure), rel=CLOSE, abs=0)
    table = one.encoding.inner.decode().reshape(-1).astype(np.float64)
    errors = np.abs(array.reshape(-1, 1).astype(np.float64) - table)
    chosen = one.encoding.indices.array().reshape(-1, 1)
    assert np.array_equal(np.take_along_axis(errors, chosen, 1)[:, 0], errors.min(axis=1))


def test_what_is_streamed():
    large, small = np.zeros(1 << 20, np.float32), np.zeros(1 << 12, np.float32)
    assert is_streamed(large, 16) and not is_streamed(small, 16)
    assert not is_streamed(large, 256) and not is_streamed(large.astype(np.float16), 16)
