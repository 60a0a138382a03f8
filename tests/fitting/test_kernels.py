"""Each kernel, compiled and as plain Python, against a twin in numpy or in fractions."""

import os
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from milpass import kernels, packing
from tests.kernels import both_ways
from tests.strategies import quick

QUICK = quick(max_examples=40, derandomize=True)
NBITS = range(1, 9)
INTEGERS = st.integers(-9, 9).map(float)
FP32 = st.floats(-(2.0**100), 2.0**100, width=32).map(lambda value: value + 0.0)


def arrays(dtype, elements, *, least=0, most=40):
    return hnp.arrays(dtype, st.integers(least, most), elements=elements)


run = both_ways("assignment", "bits", "clustering", "errors", "exactly", "histogram", "intervals")


@pytest.mark.skipif("CI" not in os.environ, reason="only where a compiler is promised")
def test_kernels_are_compiled_where_a_compiler_is_promised():
    assert kernels.COMPILED is True


@QUICK
@given(arrays(np.uint16, st.integers(0, 0xFFFF)), arrays(np.uint16, st.sampled_from([0, 7, 0xFFFF])))
def test_count_patterns(run, spread, crowded):
    patterns = np.concatenate([spread, crowded])
    counters = np.zeros((2, 1 << 16), np.uint32)
    run("histogram.count_patterns", patterns, counters)
    run("histogram.count_patterns", crowded, counters)  # counts are added
    expected = np.bincount(np.concatenate([patterns, crowded]), minlength=1 << 16)
    assert np.array_equal(counters.sum(axis=0), expected)


@pytest.mark.parametrize("seed", range(3))
def test_collect_counts(run, seed):
    """Present patterns in the order of their values, with their counts; the counters are zero again."""
    drawn = np.random.default_rng(seed).integers(0, 1 << 16, (2, 300))
    counters = np.zeros((2, 1 << 16), np.uint32)
    for row, patterns in zip(counters, drawn, strict=True):
        np.add.at(row, np.append(patterns, [0x8000, 0]), 1)
    expected = counters.sum(axis=0)
    patterns, counts, found = np.zeros(1 << 16, np.uint16), np.zeros(1 << 16), np.zeros(1, np.int64)
    run("histogram.collect_counts", counters, patterns, counts, found)
    size = int(found[0])
    assert not counters.any() and size == np.count_nonzero(expected)
    signed = np.where(patterns[:size] >> 15, 0x7FFF - patterns[:size].astype(int), patterns[:size])
    assert (np.diff(signed) > 0).all()
    assert np.array_equal(counts[:size], expected[patterns[:size]])


@QUICK
@given(arrays(np.uint16, st.integers(0, 0xFFFF)), st.integers(0, 1 << 30))
def test_look_up(run, patterns, seed):
    index_of = np.random.default_rng(seed).integers(0, 256, 1 << 16).astype(np.uint8)
    indices = np.zeros(patterns.size, np.uint8)
    run("assignment.look_up", patterns, index_of, indices)
    assert np.array_equal(indices, np.take(index_of, patterns))


@QUICK
@given(st.data(), st.sampled_from(NBITS))
def test_count_cuts(run, data, nbits):
    size = (1 << nbits) - 1
    cuts = np.sort(data.draw(arrays(np.float32, FP32, most=size)))
    below = data.draw(st.integers(0, size - cuts.size))  # unused cuts: infinite, at either end
    ends = np.full(below, -np.inf, np.float32), np.full(size - cuts.size - below, np.inf, np.float32)
    values = np.concatenate([data.draw(arrays(np.float32, FP32)), cuts])  # a cut is not below itself
    indices = np.zeros(values.size, np.uint8)
    run("assignment.count_cuts", values, np.concatenate([ends[0], cuts, ends[1]]), indices)
    expected = below + np.count_nonzero(values[:, None] > cuts, axis=1)
    assert np.array_equal(indices, expected)


def packed_by_numpy(indices, nbits):
    bits = np.unpackbits(indices[:, None], axis=1, count=nbits, bitorder="little")
    return np.packbits(bits.reshape(-1), bitorder="little")


@pytest.mark.parametrize("nbits", NBITS)
@QUICK
@given(data=st.data())
def test_pack_and_unpack(run, nbits, data):
    groups = data.draw(st.integers(0, 8))
    elements = st.integers(0, (1 << nbits) - 1)
    indices = data.draw(hnp.arrays(np.uint8, 8 * groups, elements=elements))
    packed = np.zeros(groups * nbits, np.uint8)
    run("bits.pack", indices.view("<u8"), nbits, packed)
    assert np.array_equal(packed, packed_by_numpy(indices, nbits))
    words = np.zeros(groups, "<u8")
    run("bits.unpack", packed, nbits, words)
    assert np.array_equal(words.view(np.uint8), indices)
    highest_first = np.zeros(groups * nbits, np.uint8)
    run("bits.pack_msb", indices.view("<u8"), nbits, highest_first)
    bits = np.unpackbits(indices[:, None], axis=1)[:, 8 - nbits :]
    assert np.array_equal(highest_first, np.packbits(bits.reshape(-1)))
    words[:] = 0
    run("bits.unpack_msb", highest_first, nbits, words)
    assert np.array_equal(words.view(np.uint8), indices)


@QUICK
@given(hnp.arrays(np.uint8, st.integers(0, 8).map(lambda groups: 8 * groups), elements=st.integers(0, 15)))
def test_pack_and_unpack_nibbles(run, indices):
    packed = np.zeros(indices.size // 8, "<u4")
    run("bits.pack_nibbles", indices.view("<u8"), packed)
    assert np.array_equal(packed.view(np.uint8), packed_by_numpy(indices, 4))
    words = np.zeros(packed.size, "<u8")
    run("bits.unpack_nibbles", packed, words)
    assert np.array_equal(words.view(np.uint8), indices)


@pytest.mark.parametrize("offset", range(4))
def test_nibbles_are_read_and_written_at_any_address(offset):
    numbers = np.arange(40, dtype=np.uint8) % 16
    octets = np.zeros(24, np.uint8)[offset:]
    assert packing.pack_into(octets, numbers, 4) == 20
    assert np.array_equal(octets[:20], packed_by_numpy(numbers, 4))
    assert np.array_equal(packing.unpacked(octets[:20], 40, 4), numbers)


@QUICK
@given(data=st.data(), size=st.integers(0, 40))
def test_errors_are_summed(run, data, size):
    values, table = (data.draw(hnp.arrays(np.float16, n, elements=INTEGERS)) for n in (size, 4))
    indices = data.draw(hnp.arrays(np.uint8, size, elements=st.integers(0, 3)))
    errors, sums = values.astype(int) - table.astype(int)[indices], np.array([1.0, 4.0, 2.0])
    expected = [1 + np.sum(errors**2), max([4, *errors**2]), 2 + np.sum(values.astype(int) ** 2)]
    run("errors.compare", values.astype(np.float32), table[indices].astype(np.float32), sums)
    assert sums.tolist() == expected
    reals, sums = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32), sums * 0
    run("errors.compare_indexed", values.view(np.uint16), reals, indices, table.astype(np.float32), sums)
    assert sums.tolist() == [np.sum(errors**2), max([0, *errors**2]), 0]


def distribution(values):
    """Distinct values, ascending, with counts from 1 to 5."""
    values = np.unique(values).astype(np.float64)
    return values, 1.0 + np.arange(values.size) * 3 % 5


def moments(values, counts, centre):
    """The sums of w, w x and w x**2 before each position, in fractions."""
    sums = [(Fraction(0),) * 3]
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        x, w = Fraction(value) - Fraction(centre), Fraction(count)
        sums.append((sums[-1][0] + w, sums[-1][1] + w * x, sums[-1][2] + w * x * x))
    return sums


@QUICK
@given(arrays(np.float32, FP32, least=1, most=12))
def test_accumulate(run, drawn):
    values, counts = distribution(drawn)
    check_accumulated(run, values, counts, float(values[values.size // 2]))


def test_accumulate_loses_no_more_with_many_values(run):
    values = 1 + np.random.default_rng(1).random(800)  # plain sums of them are off by eight units and more
    check_accumulated(run, *distribution(values), 0.0)


def check_accumulated(run, values, counts, centre):
    """Each sum is off by no more than a few roundings of its own size."""
    sums = np.empty((3, values.size + 1))
    run("clustering.accumulate", values, counts, centre, sums)
    shifted = values - centre  # itself rounded, once
    exact, sizes = moments(shifted, counts, 0.0), moments(np.abs(shifted), counts, 0.0)
    for row, expected, size in zip(sums.T.tolist(), exact, sizes, strict=True):
        assert row[0] == expected[0]
        for got, wanted, scale in zip(row[1:], expected[1:], size[1:], strict=True):
            assert abs(Fraction(got) - wanted) <= scale * Fraction(3, 2**53)


@QUICK
@given(arrays(np.float32, FP32.filter(lambda x: x == 0 or abs(x) > 1e-30), least=1, most=12))
def test_accumulate_exactly_holds_twice_the_digits(run, drawn):
    values, counts = distribution(drawn)
    counts *= 2.0**33 + 1  # so that a count times a value is rounded, too
    origin = int(np.count_nonzero(values < 0))
    sums = np.empty((5, values.size + 1))
    run("exactly.accumulate", values, counts, origin, sums)
    signed = moments(values, counts, 0.0)
    for row, at in zip(sums.T.tolist(), signed, strict=True):
        mass, first, second = (there - here for there, here in zip(at, signed[origin], strict=True))
        assert row[0] == mass
        # outwards from the origin all terms have one sign, so the sum itself is the scale
        assert abs(Fraction(row[1]) + Fraction(row[3]) - first) <= abs(first) / 2**96
        assert abs(Fraction(row[2]) + Fraction(row[4]) - second) <= abs(second) / 2**96


def least_total(sums, price):
    """The least cost of each prefix over all positions of its cuts, each interval at a price."""
    best = [Fraction(0)]
    for end in range(1, len(sums)):
        best.append(min(best[start] + interval_cost(sums, start, end) + price for start in range(end)))
    return best


def interval_cost(sums, start, end):
    mass, first, second = (there - here for there, here in zip(sums[end], sums[start], strict=True))
    return second - first * first / mass


@pytest.mark.parametrize("exact", [False, True])
@QUICK
@given(
    drawn=st.one_of(
        arrays(np.float64, INTEGERS, least=1, most=12),
        arrays(np.float32, FP32, least=1, most=9),
        arrays(np.float64, st.integers(-300, 300).map(float), least=1, most=60),
    ),
    share=st.floats(0, 1),
)
def test_sweep_is_the_shortest_path(run, exact, drawn, share):
    values, counts = distribution(drawn)
    kernel, sums = "exactly" if exact else "clustering", np.empty((5 if exact else 3, values.size + 1))
    first = int(np.count_nonzero(values < 0)) if exact else float(values[values.size // 2])
    run(f"{kernel}.accumulate", values, counts, first, sums)
    true_sums = moments(values, counts, 0.0)
    spread = interval_cost(true_sums, 0, values.size)
    price = float(spread) * share**4
    best, (previous, *work) = np.empty((2, values.size + 1)), np.empty((3, values.size + 1), np.int64)
    work = work if exact else [np.empty(values.size + 1)]
    run(f"{kernel}.sweep", sums, price, np.zeros(values.size + 1), best, previous, *work)
    noise = spread * Fraction(1, 10**12) + Fraction(price) * values.size / 10**14
    for end, wanted in enumerate(least_total(true_sums, Fraction(price))):
        pairs = list(pairwise(path_to(end, previous)))
        cost = sum(interval_cost(true_sums, *pair) for pair in pairs)
        assert best[1, end] == len(pairs) and abs(Fraction(best[0, end]) - cost) <= noise
        assert cost + Fraction(price) * len(pairs) <= wanted + noise


def path_to(end, previous):
    """The edges of the intervals that the kernel chose up to `end`."""
    edges = [end]
    while edges[-1]:
        edges.append(int(previous[edges[-1]]))
    return edges[::-1]


@QUICK
@given(arrays(np.uint16, st.sampled_from([0, 1, 0x7C00, 0x8000, 0x8001, 0x3C00, 0xBC00, 0xFC00])))
def test_blocks_hold_what_counting_finds(run, drawn):
    counters, touched = np.zeros((2, 1 << 16), np.uint32), np.zeros(1 << 12, np.uint8)
    np.add.at(counters[0], drawn, 1)
    expected = np.zeros(1 << 16, np.uint16), np.zeros(1 << 16), np.zeros(1, np.int64)
    run("histogram.collect_counts", counters, *expected)
    found = np.zeros(drawn.size + 1, np.uint16), np.zeros(drawn.size + 1), np.zeros(1, np.int64)
    run("histogram.count_in_blocks", drawn, counters[0], touched)
    run("histogram.collect_blocks", counters[0], touched, *found)
    size = int(expected[2][0])
    assert found[2][0] == size and not counters.any() and not touched.any()
    assert all(np.array_equal(a[:size], b[:size]) for a, b in zip(found[:2], expected[:2], strict=True))


@QUICK
@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_trace_goes_back_over_all_starts(run, ends):
    edges = [0, *(place for place, ends_here in enumerate(ends, 1) if ends_here or place == len(ends))]
    previous = np.full(len(ends) + 1, -1, np.int64)
    previous[edges[1:]] = edges[:-1]
    found = np.zeros(len(edges), np.int64)
    run("intervals.trace", previous, found)
    assert found.tolist() == edges


@QUICK
@given(arrays(np.float32, FP32, least=1, most=20), st.integers(0, 1 << 19))
def test_measure_finds_means_and_errors(run, drawn, cuts):
    values, counts = distribution(drawn)
    inner = [place for place in range(1, values.size) if cuts >> (place - 1) & 1]
    edges = np.array([0, *inner, values.size])
    means, cost = np.zeros(edges.size - 1), np.zeros(1)
    run("intervals.measure", values, counts, edges, means, cost)
    exact, total = [], Fraction(0)
    for start, end in pairwise(edges.tolist()):
        pairs = [
            (Fraction(w), Fraction(x)) for w, x in zip(counts[start:end], values[start:end], strict=True)
        ]
        exact.append(sum(w * x for w, x in pairs) / sum(w for w, _ in pairs))
        total += sum(w * (x - exact[-1]) ** 2 for w, x in pairs)
    scale = float(np.abs(values).max())
    assert means == pytest.approx([float(mean) for mean in exact], rel=1e-12, abs=1e-12 * scale)
    assert cost[0] == pytest.approx(float(total), rel=1e-9, abs=1e-20 * scale**2)


@QUICK
@given(arrays(np.float32, FP32, least=1, most=20), arrays(np.float32, FP32, least=1, most=9))
def test_choose_takes_the_entry_between_two_middles(run, drawn, entries):
    values, counts = distribution(drawn)
    table = np.sort(entries).astype(np.float64)
    middles = np.where(table[:-1] < table[-1], (table[:-1] + table[1:]) / 2, np.inf)
    chosen, sums = np.zeros(values.size, np.uint8), np.zeros(3)
    run("assignment.choose", values, counts, table, middles, chosen, sums)
    expected = np.count_nonzero(values[:, None] > middles, axis=1)
    assert np.array_equal(chosen, expected)
    errors = np.abs(values - table[expected])
    assert sums[1] == errors.max()
    assert sums[0] == pytest.approx(np.sum(counts * errors**2), rel=1e-12)
    assert sums[2] == pytest.approx(np.sum(counts * values**2), rel=1e-12)
