"""The kernels of cells and of measuring, compiled and as plain Python, against twins in numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.fitting.test_kernels import QUICK, arrays
from tests.kernels import both_ways

PATTERNS = st.integers(0, 0xFFFFFFFF)

run = both_ways("assignment", "cells")


def drawn_places(seed):
    """A layout of a few bits each, and its number of cells."""
    bits = np.random.default_rng(seed).choice([0, 0, 0, 0, 0, 1, 3], 1 << 16)
    ends = np.cumsum(1 << bits)
    return ((ends - (1 << bits)) * 32 + 16 - bits).astype(np.int32), int(ends[-1])


LAYOUTS = [drawn_places(seed) for seed in range(2)]


def dealt(patterns, places):
    """The cell of each pattern, and its lower bits."""
    place, low = places[patterns >> 16].astype(np.int64), (patterns & 0xFFFF).astype(np.int64)
    return (place >> 5) + (low >> (place & 31)), low


@QUICK
@given(
    spread=arrays(np.uint32, PATTERNS),
    crowded=arrays(np.uint32, st.sampled_from([0xFFFF, 0x80000000, 0xFFFFFFFF])),
    layout=st.sampled_from(LAYOUTS),
)
def test_add_moments(run, spread, crowded, layout):
    patterns, (places, size) = np.concatenate([spread, crowded]), layout
    moments = np.zeros((size, 2), np.uint64)
    run("cells.add_moments", patterns, places, moments)
    run("cells.add_moments", crowded, places, moments)  # sums are added to
    cells, lows = dealt(np.concatenate([patterns, crowded]), places)
    firsts, squares = moments.T
    expected = np.zeros((3, size), np.uint64)
    for row, terms in zip(expected, (np.ones_like(lows), lows, lows * lows), strict=True):
        np.add.at(row, cells, terms.astype(np.uint64))
    assert np.array_equal(firsts >> 40, expected[0])
    assert np.array_equal(firsts & ((1 << 40) - 1), expected[1])
    assert np.array_equal(squares, expected[2])


@QUICK
@given(patterns=arrays(np.uint32, PATTERNS), layout=st.sampled_from(LAYOUTS), seed=st.integers(0, 99))
def test_gather(run, patterns, layout, seed):
    places, size = layout
    wanted = (np.random.default_rng(seed).random(size) < 0.5).astype(np.uint8)
    expected = patterns[wanted[dealt(patterns, places)[0]] == 1]
    gathered, number = np.zeros(expected.size + 1, np.uint32), np.zeros(1, np.int64)
    for part in np.array_split(patterns, 2):
        run("cells.gather", part, places, wanted, gathered, number)
    assert number[0] == expected.size and np.array_equal(gathered[:-1], expected)


@QUICK
@given(data=st.data(), table=hnp.arrays(np.float64, 8, elements=st.floats(-100, 100)))
def test_measure(run, data, table):
    values = data.draw(arrays(np.float32, st.floats(-100, 100, width=32)))
    indices = data.draw(hnp.arrays(np.uint8, values.size, elements=st.integers(0, 7)))
    sums = np.array([1.0, 2.0, 3.0])
    run("assignment.measure", values, indices, table, sums)
    reals = values.astype(np.float64)
    errors = np.abs(reals - table[indices])
    expected = [1 + np.sum(errors**2), 2 + np.sum(reals**2), max(errors.max(initial=0.0), 3.0)]
    assert sums == pytest.approx(expected, rel=1e-12)
