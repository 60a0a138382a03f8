"""Each kernel of vector k-means, compiled and as plain Python, against a twin in numpy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import both_ways
from tests.strategies import quick

QUICK = quick(max_examples=40, derandomize=True)
BLOCK, GROUP = 4, 3
SIZES = st.tuples(st.integers(1, 40), st.integers(2, 5))
# few different whole numbers, so that ties are common and every sum is exact; or anything
WHOLE = st.integers(-4, 4).map(float)
ANY = st.floats(-(2.0**60), 2.0**60, width=32)


run = both_ways("boxes", "lloyd", "seeding", "vectors")


def vectors_of(elements):
    return SIZES.flatmap(lambda size: hnp.arrays(np.float32, size, elements=elements))


def columns_of(vectors):
    return np.ascontiguousarray(vectors.T)


def boxes_of(vectors, length):
    """The least and greatest components of each run of so many vectors."""
    runs = [vectors[i : i + length] for i in range(0, len(vectors), length)]
    return tuple(np.array([f(part, axis=0) for part in runs], np.float64) for f in (np.min, np.max))


def squared_distances(vectors, centres):
    """(n, k), the components summed in order as the kernels do."""
    total = np.zeros((len(vectors), len(centres)))
    for column, centre in zip(vectors.astype(np.float64).T, centres.T, strict=True):
        total += np.square(column[:, None] - centre)
    return total


@QUICK
@given(vectors_of(WHOLE), st.integers(1, 3), st.integers(0, 99))
def test_cells_and_their_order(run, vectors, bits, seed):
    axes = vectors.shape[1]
    cuts = np.random.default_rng(seed).integers(-5, 5, (axes, (1 << bits) - 1))
    cuts = np.sort(cuts.astype(np.float32), axis=1)
    codes = (np.arange(1 << bits) << bits * np.arange(axes)[:, None]).astype(np.uint16)
    cells, starts = np.zeros(len(vectors), np.uint16), np.zeros((1 << bits * axes) + 1, np.int64)
    run("boxes.find_cells", vectors, cuts, codes, cells, starts)
    places = np.count_nonzero(vectors[:, :, None] > cuts, axis=2)
    assert np.array_equal(cells, np.sum(places << bits * np.arange(axes), axis=1))
    assert np.array_equal(starts[1:], np.bincount(cells, minlength=starts.size - 1))
    order = np.zeros(len(vectors), np.uint32)
    run("boxes.order_by_cell", cells, np.cumsum(starts), order)
    assert np.array_equal(order, np.argsort(cells, kind="stable"))


@QUICK
@given(vectors_of(ANY), st.integers(0, 99))
def test_gather_bound_and_hand_back(run, vectors, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(vectors)).astype(np.uint32)
    columns = np.zeros(vectors.shape[::-1], np.float32)
    run("boxes.gather", vectors, order, columns)
    assert np.array_equal(columns, vectors[order].T)
    expected = boxes_of(vectors[order], BLOCK)
    boxes = np.empty_like(expected[0]), np.empty_like(expected[1])
    run("boxes.bound", columns, BLOCK, *boxes)
    assert all(map(np.array_equal, boxes, expected))
    centres = rng.normal(size=(3, vectors.shape[1]))
    labels, indices = rng.integers(0, 3, len(vectors)).astype(np.uint8), np.zeros(len(vectors), np.uint8)
    greatest = np.array([1e-3])
    run("boxes.hand_back", columns, centres, labels, order, indices, greatest)
    assert np.array_equal(indices[order], labels)
    assert greatest[0] == max(1e-3, np.max(np.abs(vectors - centres[indices])))


@QUICK
@given(st.one_of(vectors_of(WHOLE), vectors_of(ANY)), st.integers(1, 9), st.booleans(), st.integers(0, 99))
def test_label_is_the_first_of_the_nearest(run, vectors, k, sort, seed):
    rng = np.random.default_rng(seed)
    if sort:  # small boxes, from which most centres are far
        vectors = vectors[np.lexsort(vectors.T)]
    centres = vectors[rng.integers(0, len(vectors), k)].astype(np.float64) + rng.integers(-1, 2, (k, 1))
    work = np.empty((3, k + 1), np.int64), np.empty((2, BLOCK)), np.empty(BLOCK, np.int64)
    labels, errors = np.zeros(len(vectors), np.uint8), np.zeros(len(vectors))
    boxes = *boxes_of(vectors, BLOCK), *boxes_of(vectors, BLOCK * GROUP)
    run("vectors.label", columns_of(vectors), *boxes, centres, BLOCK, GROUP, *work, labels, errors)
    distances = squared_distances(vectors, centres)
    assert np.array_equal(errors, distances[np.arange(len(vectors)), labels])
    if np.max(np.abs(vectors)) < 9:  # no distance is rounded
        assert np.array_equal(labels, np.argmin(distances, axis=1))
    assert (errors <= np.min(distances, axis=1) * (1 + 1e-14)).all()


def weights_for(vectors, weighted):
    return 1.0 + np.arange(len(vectors)) % 3 if weighted else np.empty(0)


def totals_of(vectors, weights, labels, k):
    """The weights and weighted sums of each cluster (k, 1 + d)."""
    rows = np.column_stack([np.ones(len(vectors)), vectors])
    totals = np.zeros((k, rows.shape[1]))
    np.add.at(totals, labels, rows * weights[:, None] if weights.size else rows)
    return totals


@QUICK
@given(vectors_of(WHOLE), st.booleans(), st.integers(0, 99))
def test_add_up(run, vectors, weighted, seed):
    labels = np.random.default_rng(seed).integers(0, 4, len(vectors)).astype(np.uint8)
    weights, totals = weights_for(vectors, weighted), np.ones((4, vectors.shape[1] + 1))
    run("lloyd.add_up", columns_of(vectors), weights, labels, totals)
    assert np.array_equal(totals, 1 + totals_of(vectors, weights, labels, 4))


@QUICK
@given(st.integers(2, 12), st.integers(2, 5), st.integers(0, 99))
def test_rank_neighbours(run, k, width, seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, width))
    neighbours = np.array([rng.permutation(np.delete(np.arange(k), m)) for m in range(k)])
    between = np.empty((k, k - 1))
    run("lloyd.rank_neighbours", centres, neighbours, between)
    distances = np.sqrt(squared_distances(centres, centres))
    assert np.array_equal(between, np.sort(distances, axis=1)[:, 1:])
    assert np.array_equal(np.take_along_axis(distances, neighbours, axis=1), between)


@QUICK
@given(vectors_of(WHOLE), st.integers(2, 7), st.booleans(), st.integers(0, 99))
def test_reassign_over_rounds_equals_trying_every_centre(run, vectors, k, weighted, seed):
    """However the centres move and whatever the first labels are, bounds never hide a nearer centre."""
    rng = np.random.default_rng(seed)
    size, columns, weights = len(vectors), columns_of(vectors), weights_for(vectors, weighted)
    labels = rng.integers(0, k, size).astype(np.uint8)
    totals = totals_of(vectors, weights, labels, k)
    slack, lower = np.full(size, -1.0), np.zeros(size)
    centres, neighbours = (
        rng.normal(size=(k, vectors.shape[1])),
        (np.arange(1, k) + np.arange(k)[:, None]) % k,
    )
    moved, furthest = np.zeros(k), 0.0
    for scale in (1.0, 0.3, 0.1, 0.01, 1.0):
        between = np.empty((k, k - 1))
        run("lloyd.rank_neighbours", centres, neighbours, between)
        movement = moved + furthest, furthest
        state = labels, slack, lower, totals
        run("lloyd.reassign", columns, weights, centres, neighbours, between, *movement, *state)
        assert np.array_equal(labels, np.argmin(squared_distances(vectors, centres), axis=1))
        assert np.array_equal(totals, totals_of(vectors, weights, labels, k))
        shifts = scale * rng.normal(size=centres.shape) * (rng.random((k, 1)) < 0.7)
        lengths = np.sqrt(np.sum(np.square(shifts), axis=1))
        centres, moved, furthest = centres + shifts, moved + lengths, furthest + float(np.max(lengths))


def greedy_seeds(vectors, weights, draws, closest):
    """Greedy k-means++: the drawn vector that leaves the least error, seed by seed."""
    weights = weights if weights.size else np.ones(len(vectors))
    distances, seeds = squared_distances(vectors, vectors.astype(np.float64)), []
    for row in draws:
        edges = np.cumsum(closest * weights)
        if edges[-1] <= 0:
            break
        drawn = np.searchsorted(edges, row * edges[-1], side="right")
        left = [np.sum(np.minimum(closest, distances[place]) * weights) for place in drawn]
        seeds.append(int(drawn[np.argmin(left)]))
        closest = np.minimum(closest, distances[seeds[-1]])
    return seeds, closest


@QUICK
@given(vectors_of(WHOLE), st.integers(1, 6), st.booleans(), st.booleans(), st.integers(0, 99))
def test_add_seeds_is_greedy(run, vectors, count, weighted, sort, seed):
    if sort:
        vectors = vectors[np.lexsort(vectors.T)]
    weights, rng = weights_for(vectors, weighted), np.random.default_rng(seed)
    draws = rng.random((count, 3))
    closest = squared_distances(vectors, vectors[:1].astype(np.float64))[:, 0]
    errors = closest * weights if weights.size else closest
    starts = np.arange(0, len(vectors), BLOCK)
    blocks = np.stack([np.add.reduceat(errors, starts), np.maximum.reduceat(closest, starts)], axis=1)
    expected, left = greedy_seeds(vectors, weights, draws, closest)
    labels, seeds, found = np.zeros(len(vectors), np.uint8), np.zeros(count, np.int64), np.zeros(1, np.int64)
    state = labels, closest, blocks, seeds, found
    boxes = boxes_of(vectors, BLOCK)
    run("seeding.add_seeds", columns_of(vectors), weights, *boxes, BLOCK, draws, 1, *state)
    assert seeds[: found[0]].tolist() == expected
    assert np.array_equal(closest, left)
    centres = vectors[[0, *expected]].astype(np.float64)
    assert np.array_equal(labels, np.argmin(squared_distances(vectors, centres), axis=1))
