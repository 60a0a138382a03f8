"""Lloyd's method for vectors, over-relaxed, with bounds that leave most vectors alone."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from milpass import kernels
from milpass.fitting.vectors.boxes import Boxes, Floats

# How far centres go towards the mean and beyond; below 2 the error falls in each round (Xiao 2010).
RELAXATION = 1.8
ROUNDS = 200


@frozen(eq=False)
class Clusters:
    """Centres (k, d), which are the means of their vectors, how much weight each has, and the squared error.

    The error is a difference from that around the mean of all, so it is off by the rounding of that one.
    """

    centres: Floats
    masses: Floats
    error: float


def lloyd(boxes: Boxes, centres: Floats, labels: NDArray[np.uint8], *, tolerance: float) -> Clusters:
    """Refine until what the centres still gain is below a share of the error; `labels` are used up.

    A label need not be that of the nearest centre, but the nearer the faster.
    """
    bounds = _Bounds(boxes, centres, labels)
    clusters = bounds.means(centres)
    for _ in range(ROUNDS if len(centres) > 1 else 0):
        bounds.reassign(centres)
        clusters = bounds.means(centres)
        shifts = clusters.centres - centres
        gain = float(np.sum(clusters.masses[:, None] * np.square(shifts)))
        if gain <= tolerance * clusters.error:
            break
        bounds.move(RELAXATION * shifts)
        centres = centres + RELAXATION * shifts
    bounds.add_up()
    return bounds.means(clusters.centres)


class _Bounds:
    """Labels with bounds, the sums of each cluster, and how far each centre has moved since the start."""

    def __init__(self, boxes: Boxes, centres: Floats, labels: NDArray[np.uint8]) -> None:
        k = len(centres)
        self._cells, self._labels = boxes, labels
        self._slack, self._lower = np.full(boxes.size, -1.0), np.zeros(boxes.size)
        self._neighbours = (np.arange(1, k) + np.arange(k)[:, None]) % k
        self._between = np.empty((k, k - 1))
        self._moved, self._furthest = np.zeros(k), 0.0
        self._totals = np.empty((k, centres.shape[1] + 1))
        self.add_up()

    def add_up(self) -> None:
        """Sum the clusters anew: sums kept up to date gather rounding."""
        self._totals.fill(0.0)
        kernels.lloyd.add_up(self._cells.columns, self._cells.weights, self._labels, self._totals)

    def reassign(self, centres: Floats) -> None:
        """Label each vector by its nearest centre."""
        boxes = self._cells
        ranked = self._neighbours, self._between
        kernels.lloyd.rank_neighbours(centres, *ranked)
        movement = self._moved + self._furthest, self._furthest
        state = self._labels, self._slack, self._lower, self._totals
        kernels.lloyd.reassign(boxes.columns, boxes.weights, centres, *ranked, *movement, *state)

    def move(self, shifts: Floats) -> None:
        """Loosen the bounds by how far each centre moves."""
        lengths = np.sqrt(np.sum(np.square(shifts), axis=1))
        self._moved += lengths
        self._furthest += float(np.max(lengths))

    def means(self, otherwise: Floats) -> Clusters:
        """The means of the clusters; where one is empty, the centre it has."""
        filled = self._totals[:, 0] > 0
        masses = np.where(filled, self._totals[:, 0], 0.0)
        sums = self._totals[:, 1:]
        centres = np.where(filled[:, None], sums / np.where(filled, masses, 1.0)[:, None], otherwise)
        apart = np.sum(np.square(centres - self._cells.mean), axis=1)
        return Clusters(centres, masses, max(self._cells.spread - float(np.sum(masses * apart)), 0.0))
