"""Vector k-means: starts and swaps on a sample, then Lloyd's method on all vectors.

Vector k-means has many local optima and no proof of the global one (as
`clustering` has for scalars): what is promised is the same result for the same seed.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from milpass import kernels
from milpass.fitting.vectors.boxes import NO_WEIGHTS, Boxes, Floats, Grid, columns_of
from milpass.fitting.vectors.lloyd import Clusters, lloyd

Vectors = NDArray[np.float32]

# Vectors on which starts are compared: so many for each centre, within limits.
SAMPLE_OF_CENTRE = 256
LEAST_SAMPLE, GREATEST_SAMPLE = 1 << 12, 1 << 16
# More vectors than these are thinned out: 256 centres of a sample that large are as good to 1 in 10,000.
LIMIT = 1 << 22
# Vectors labelled at a time, so that working memory stays small.
CHUNK = 1 << 18
# Gains, relative to the error, at which Lloyd's method stops: on starts, on the best of them, on all vectors.
ROUGH, FINE, FINAL = 1e-3, 1e-4, 5e-5
SWAPS = 4
# How often centres that lost all their vectors are replaced.
REFILLS = 10


@frozen(eq=False)
class VectorClustering:
    """Centres (at most k, d), and the (weighted) squared error of all vectors with their nearest."""

    centres: Floats
    squared_error: float


def cluster_vectors(
    vectors: Vectors, k: int, weights: Floats | None = None, *, seed: int = 0
) -> VectorClustering:
    """Up to k centres of small squared error for finite vectors (n, d), d >= 2; weights are not negative.

    There are fewer centres where there are fewer distinct vectors, and then the error is zero.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    if weights is not None and not weights.all():
        used = weights > 0 if weights.any() else np.ones(len(weights), bool)
        vectors, weights = vectors[used], weights[used] if weights.any() else None
    everything = _thinned(vectors, weights, rng)
    part = everything.sample(min(max(SAMPLE_OF_CENTRE * k, LEAST_SAMPLE), GREATEST_SAMPLE), rng)
    centres = _best_of_starts(part, k, rng)
    centres, error = _settled(everything, centres, k, rng)
    if len(vectors) > LIMIT:
        centres, error = _completed(vectors, weights, centres, k)
    return VectorClustering(centres, error)


def nearest(vectors: Vectors, centres: Floats) -> tuple[NDArray[np.uint8], float, float]:
    """The index of each vector's nearest centre, the squared error, and the greatest error of an element."""
    indices = np.empty(len(vectors), np.uint8)
    total, greatest = 0.0, np.zeros(1)
    grid = Grid.of(vectors)
    for start in range(0, len(vectors), CHUNK):
        chunk = vectors[start : start + CHUNK]
        order = grid.order(chunk)
        boxes = Boxes(columns_of(chunk, order))
        labels, errors = boxes.label(centres)
        part = indices[start : start + CHUNK]
        kernels.boxes.hand_back(boxes.columns, centres, labels, order, part, greatest)
        total += float(np.sum(errors))
    return indices, total, float(greatest[0])


def _arranged(vectors: Vectors, weights: Floats | None) -> Boxes:
    order = Grid.of(vectors).order(vectors)
    return Boxes(columns_of(vectors, order), NO_WEIGHTS if weights is None else weights[order])


def _thinned(vectors: Vectors, weights: Floats | None, rng: np.random.Generator) -> Boxes:
    """All vectors, or a sample out of each chunk where they are too many."""
    if len(vectors) <= LIMIT:
        return _arranged(vectors, weights)
    parts = []
    for start in range(0, len(vectors), CHUNK):
        piece = slice(start, start + CHUNK)
        boxes = _arranged(vectors[piece], None if weights is None else weights[piece])
        parts.append(boxes.sample(-(-boxes.size * LIMIT // len(vectors)), rng))
    columns = np.concatenate([part.columns for part in parts], axis=1)
    return _arranged(np.ascontiguousarray(columns.T), np.concatenate([part.weights for part in parts]))


def _best_of_starts(boxes: Boxes, k: int, rng: np.random.Generator) -> Floats:
    """The best of several starts, then bettered by swaps; more starts where there are few centres."""
    tries = 2 + int(np.log(k))
    best: Clusters | None = None
    for _ in range(2 + 64 // k):
        first = min(int(rng.random() * boxes.size), boxes.size - 1)
        draws = rng.random((k - 1, tries))
        centres, labels, errors = boxes.seeded(boxes.vectors(np.array([first])), draws)
        if not errors.any():
            return centres
        found = lloyd(boxes, centres, labels, tolerance=ROUGH)
        best = found if best is None or found.error < best.error else best
    assert best is not None
    best = _swapped(boxes, best, rng, tries)
    return lloyd(boxes, best.centres, boxes.label(best.centres)[0], tolerance=FINE).centres


def _swapped(boxes: Boxes, best: Clusters, rng: np.random.Generator, tries: int) -> Clusters:
    """Merge the clusters that cost least to merge and seed as many elsewhere, where that is better."""
    k = len(best.centres)
    count = max(k // 16, 1)
    for _ in range(SWAPS):
        merged = _merged(best, count)
        centres, labels, _ = boxes.seeded(merged, rng.random((k - len(merged), tries)))
        found = lloyd(boxes, centres, labels, tolerance=ROUGH)
        if found.error < best.error:
            best = found
        else:
            count = max(count // 2, 1)
    return best


def _merged(clusters: Clusters, count: int) -> Floats:
    """The centres after `count` disjoint pairs are merged, those first that cost least (Ward 1963)."""
    centres, masses = clusters.centres.copy(), np.maximum(clusters.masses, np.finfo(float).tiny)
    one, other = np.triu_indices(len(centres), 1)
    apart = np.sum(np.square(centres[one] - centres[other]), axis=1)
    costs = apart * masses[one] / (masses[one] + masses[other]) * masses[other]
    whole, kept = np.ones(len(centres), bool), np.ones(len(centres), bool)
    for pair in np.argsort(costs, kind="stable"):
        a, b = one[pair], other[pair]
        if whole[a] and whole[b]:
            whole[[a, b]], kept[b] = False, False
            centres[a] += (centres[b] - centres[a]) * (masses[b] / (masses[a] + masses[b]))
            count -= 1
        if not count:
            break
    return centres[kept]


def _settled(boxes: Boxes, centres: Floats, k: int, rng: np.random.Generator) -> tuple[Floats, float]:
    """Lloyd's method on all vectors, with seeds in place of centres that are missing or have no vector."""
    labels, errors = boxes.label(centres)
    for _ in range(REFILLS):
        if not errors.any():
            break  # before means of equal vectors, rounded, take the place of the vectors
        centres = lloyd(boxes, centres, labels, tolerance=FINAL).centres
        labels, errors = boxes.label(centres)
        used = np.bincount(labels, minlength=len(centres)) > 0
        if used.all() and len(centres) == k:
            break
        centres, labels, errors = boxes.seeded(centres[used], rng.random((k - np.count_nonzero(used), 1)))
    used = np.bincount(labels, minlength=len(centres)) > 0
    return centres[used], float(np.sum(boxes.weighted(errors)))


def _completed(vectors: Vectors, weights: Floats | None, centres: Floats, k: int) -> tuple[Floats, float]:
    """The error of all vectors; where there are fewer than k centres, the furthest vectors become some."""
    while True:
        total, greatest, furthest = 0.0, 0.0, vectors[0]
        for start in range(0, len(vectors), CHUNK):
            piece = slice(start, start + CHUNK)
            boxes = _arranged(vectors[piece], None if weights is None else weights[piece])
            errors = boxes.weighted(boxes.label(centres)[1])
            total += float(np.sum(errors))
            if np.max(errors) > greatest:
                greatest, furthest = float(np.max(errors)), boxes.columns[:, np.argmax(errors)]
        if len(centres) == k or total <= 0:
            return centres, total
        centres = np.concatenate([centres, furthest[None].astype(np.float64)])
