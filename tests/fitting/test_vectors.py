"""Vector k-means: what is promised of every result, and recovery where the best is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milpass.fitting.vectors import clustering as module
from milpass.fitting.vectors.boxes import Boxes
from milpass.fitting.vectors.clustering import cluster_vectors, nearest
from milpass.fitting.vectors.lloyd import lloyd
from tests.strategies import EFFORT, quick

KINDS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy_tailed": lambda rng, size: rng.standard_t(3, size=size) * 0.02,
    "few_values": lambda rng, size: rng.integers(0, 3, size),
    "extremes": lambda rng, size: rng.choice([6e-8, -6e-8, 0.0, 1.0, 65504.0], size),
    "fp32_extremes": lambda rng, size: rng.choice([1e-45, 1e-30, 3e38, -3e38], size),
    "far_from_zero": lambda rng, size: 1000 + 1e-3 * rng.normal(size=size),
    "identical": lambda rng, size: np.full(size, 0.1),
}
# Every other one while one works, all in the suite.
SOME = list(KINDS)[:: 1 if EFFORT >= 1 else 2]


def drawn(kind, size, seed):
    return KINDS[kind](np.random.default_rng(seed), size).astype(np.float32)


def squared_distances(vectors, centres):
    return np.sum(np.square(vectors[:, None].astype(np.float64) - centres), axis=2)


def error_of(vectors, centres, weights=1.0):
    return float(np.sum(weights * np.min(squared_distances(vectors, centres), axis=1)))


@pytest.mark.parametrize("kind", SOME)
@quick(max_examples=12, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(2, 5)),
    k=st.sampled_from([2, 4, 8, 16]),
    seed=st.integers(0, 99),
    weighted=st.booleans(),
)
def test_every_result_is_well_formed(kind, size, k, seed, weighted):
    vectors = drawn(kind, size, seed)
    weights = np.random.default_rng(seed).random(size[0]) + 0.1 if weighted else None
    found = cluster_vectors(vectors, k, weights, seed=seed)
    again = cluster_vectors(vectors, k, weights, seed=seed)
    assert found.centres.tobytes() == again.centres.tobytes() and found.squared_error == again.squared_error
    distinct = len(np.unique(vectors, axis=0))
    assert found.centres.shape == (min(k, distinct), size[1]) and found.centres.dtype == np.float64
    error = error_of(vectors, found.centres, 1.0 if weights is None else weights)
    assert found.squared_error == pytest.approx(error, rel=1e-12)
    if distinct <= k:
        assert found.squared_error == 0 and np.isin(found.centres, vectors).all()
    labels = np.argmin(squared_distances(vectors, found.centres), axis=1)
    assert np.unique(labels).size == len(found.centres)


@quick(max_examples=20, derandomize=True)
@given(
    st.sampled_from(list(KINDS)),
    st.integers(1, 200),
    st.integers(2, 5),
    st.integers(1, 20),
    st.integers(0, 9),
)
def test_nearest(kind, n, width, k, seed):
    vectors = drawn(kind, (n, width), seed)
    centres = vectors[np.random.default_rng(seed).integers(0, n, k)].astype(np.float64)  # some twice
    indices, total, greatest = nearest(vectors, centres)
    distances = squared_distances(vectors, centres)
    assert indices.dtype == np.uint8
    if kind in {"few_values", "identical"}:  # ties, and no distance is rounded
        assert np.array_equal(indices, np.argmin(distances, axis=1))
    chosen = distances[np.arange(n), indices]
    assert (chosen <= np.min(distances, axis=1) * (1 + 1e-14)).all()
    assert total == pytest.approx(float(np.sum(np.min(distances, axis=1))), rel=1e-12)
    assert greatest == np.max(np.abs(vectors - centres[indices]))


@quick(max_examples=20, derandomize=True)
@given(st.integers(2, 4), st.sampled_from([2, 4, 8]), st.integers(0, 999))
def test_clusters_well_apart_are_found(width, k, seed):
    rng = np.random.default_rng(seed)
    corners = 100 * rng.permutation(3**width)[:k, None] // 3 ** np.arange(width) % 300
    labels = np.concatenate([np.arange(k), rng.integers(0, k, 40)])
    vectors = (corners // 100 * 100 + rng.normal(size=(k, width)))[labels] + rng.normal(
        size=(labels.size, width)
    )
    vectors = vectors.astype(np.float32)
    means = [np.mean(vectors[labels == m], axis=0, dtype=np.float64) for m in range(k)]
    found = cluster_vectors(vectors, k)
    assert np.allclose(sorted(map(tuple, found.centres)), sorted(map(tuple, means)), rtol=1e-12)


def test_centres_are_the_means_of_their_vectors():
    vectors = drawn("heavy_tailed", (500, 3), 1)
    found = cluster_vectors(vectors, 16)
    indices, total, _ = nearest(vectors, found.centres)
    assert total == pytest.approx(found.squared_error, rel=1e-12)
    means = [np.mean(vectors[indices == m], axis=0, dtype=np.float64) for m in range(16)]
    assert error_of(vectors, np.array(means)) >= found.squared_error * (1 - 1e-3)


@quick(max_examples=20, derandomize=True)
@given(st.sampled_from(["normal", "heavy_tailed", "few_values"]), st.integers(2, 9), st.integers(0, 99))
def test_lloyd_never_raises_the_error_and_ends_at_means(kind, k, seed):
    vectors = drawn(kind, (80, 3), seed)
    cells = Boxes(np.ascontiguousarray(vectors.T))
    start = vectors[:k].astype(np.float64)
    labels = cells.label(start)[0]
    found = lloyd(cells, start, labels, tolerance=0.0)
    assert found.error <= error_of(vectors, start) * (1 + 1e-12)
    assert found.error == pytest.approx(error_of(vectors, found.centres), rel=1e-9, abs=1e-12)
    for m in range(k):
        if (labels == m).any():
            assert np.allclose(found.centres[m], np.mean(vectors[labels == m], axis=0, dtype=np.float64))


def test_weights_count_as_often_and_zeros_not_at_all():
    vectors = drawn("normal", (200, 2), 3)
    counts = np.random.default_rng(3).integers(0, 4, 200)
    found = cluster_vectors(vectors, 8, counts.astype(np.float64))
    repeated = np.repeat(vectors, counts, axis=0)
    assert found.squared_error == pytest.approx(error_of(repeated, found.centres), rel=1e-12)
    assert found.squared_error <= 1.05 * cluster_vectors(repeated, 8).squared_error
    spoilt = np.where(counts[:, None] == 0, np.float32(1e30), vectors)
    same = cluster_vectors(spoilt, 8, counts.astype(np.float64))
    assert same.centres.tobytes() == found.centres.tobytes()
    assert (
        cluster_vectors(vectors, 8, np.zeros(200)).squared_error == cluster_vectors(vectors, 8).squared_error
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sample_stands_for_all(weighted):
    """Starts on a sample, and all vectors thinned out, are nearly as good as all."""
    vectors = drawn("heavy_tailed", (12_000, 2), 4)
    weights = np.linspace(0.5, 1.5, len(vectors)) if weighted else None
    fine = cluster_vectors(vectors, 8, weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LIMIT", 5000)
        patch.setattr(module, "CHUNK", 4096)
        thinned = cluster_vectors(vectors, 8, weights)
    assert thinned.squared_error <= 1.05 * fine.squared_error
    error = error_of(vectors, thinned.centres, 1.0 if weights is None else weights)
    assert thinned.squared_error == pytest.approx(error, rel=1e-12)


@pytest.mark.parametrize("limit", [1 << 22, 5000])
def test_rare_vectors_get_centres_where_there_are_fewer_distinct_than_k(limit):
    vectors = np.zeros((20_000, 2), np.float32)
    vectors[[5, 777, 19_000]] = [[1e-6, 0], [0, 1e-6], [1, 1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LIMIT", limit)
        patch.setattr(module, "CHUNK", 4096)
        found = cluster_vectors(vectors, 16)
    assert found.squared_error == 0 and len(found.centres) == 4
