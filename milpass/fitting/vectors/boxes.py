"""Vectors in blocks whose members lie close together, as the kernels of vector k-means want them."""

from __future__ import annotations

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from milpass import kernels

Floats = NDArray[np.float64]

# Vectors in a block, and blocks in a group.
BLOCK = 32
GROUP = 16
# Vectors that place the cuts of a grid.
GRID_SAMPLE = 1 << 14
NO_WEIGHTS: Floats = np.empty(0)


@frozen(eq=False)
class Boxes:
    """Vectors as fp32 columns (d, n), block by block; their weights (n,), or none where all are one."""

    columns: NDArray[np.float32]
    weights: Floats = NO_WEIGHTS
    boxes: tuple[Floats, Floats] = field(init=False)
    group_boxes: tuple[Floats, Floats] = field(init=False)
    mass: float = field(init=False)
    mean: Floats = field(init=False)
    spread: float = field(init=False)

    @boxes.default
    def _bound(self) -> tuple[Floats, Floats]:
        low, high = (np.empty((-(-self.size // BLOCK), len(self.columns))) for _ in range(2))
        kernels.boxes.bound(self.columns, BLOCK, low, high)
        return low, high

    @group_boxes.default
    def _bound_groups(self) -> tuple[Floats, Floats]:
        starts = np.arange(0, len(self.boxes[0]), GROUP)
        return np.minimum.reduceat(self.boxes[0], starts), np.maximum.reduceat(self.boxes[1], starts)

    @mass.default
    def _weigh(self) -> float:
        return float(np.sum(self.weights)) if self.weights.size else float(self.size)

    @mean.default
    def _average(self) -> Floats:
        return np.array([np.sum(self.weighted(c.astype(np.float64))) for c in self.columns]) / self.mass

    @spread.default
    def _scatter(self) -> float:
        return float(np.sum(self.weighted(self.from_mean())))

    @property
    def size(self) -> int:
        """The number of vectors."""
        return int(self.columns.shape[1])

    def weighted(self, numbers: Floats) -> Floats:
        """Numbers, one for each vector, times the weights."""
        return numbers * self.weights if self.weights.size else numbers

    def from_mean(self) -> Floats:
        """The squared distance of each vector to the mean of all."""
        total = np.zeros(self.size)
        for column, mean in zip(self.columns, self.mean.tolist(), strict=True):
            total += np.square(column - np.float64(mean))
        return total

    def vectors(self, places: NDArray[np.int64]) -> Floats:
        """The vectors at these places, as rows."""
        return np.ascontiguousarray(self.columns[:, places].T, np.float64)

    def sample(self, size: int, rng: np.random.Generator) -> Boxes:
        """So many vectors, weighted so that they stand for all: all as they are where there are no more.

        Half the draws go to all alike, half by squared distance from the mean, lest those far out be missed
        (a lightweight coreset: Bachem, Lucic, Krause 2018); each stretch of neighbours has its share of them.
        """
        if size >= self.size:
            return self
        shares = self.weighted(np.full(self.size, 1 / self.mass))
        if self.spread > 0:
            shares = (shares + self.weighted(self.from_mean()) / self.spread) / 2
        edges = np.cumsum(shares)
        targets = (np.arange(size) + rng.random(size)) * (edges[-1] / size)
        places = np.minimum(np.searchsorted(edges, targets, side="right"), self.size - 1)
        weights = (self.weights[places] if self.weights.size else 1.0) / (size * shares[places])
        return Boxes(np.ascontiguousarray(self.columns[:, places]), weights)

    def label(self, centres: Floats) -> tuple[NDArray[np.uint8], Floats]:
        """The nearest of the centres (k, d) for each vector, and its squared distance."""
        labels, errors = np.empty(self.size, np.uint8), np.empty(self.size)
        lists, work = np.empty((3, len(centres) + 1), np.int64), np.empty((2, BLOCK))
        boxes = *self.boxes, *self.group_boxes
        nearest = np.empty(BLOCK, np.int64)
        kernels.vectors.label(
            self.columns, *boxes, centres, BLOCK, GROUP, lists, work, nearest, labels, errors
        )
        return labels, errors

    def seeded(self, centres: Floats, draws: Floats) -> tuple[Floats, NDArray[np.uint8], Floats]:
        """The centres and more by greedy k-means++ from uniform draws (seeds, tries), and what `label` tells.

        Fewer where each vector has a centre at its place.
        """
        labels, closest = self.label(centres)
        starts = np.arange(0, self.size, BLOCK)
        sums = np.add.reduceat(self.weighted(closest), starts)
        blocks = np.stack([sums, np.maximum.reduceat(closest, starts)], axis=1)
        seeds, found = np.empty(len(draws), np.int64), np.zeros(1, np.int64)
        data = self.columns, self.weights, *self.boxes
        state = labels, closest, blocks, seeds, found
        kernels.seeding.add_seeds(*data, BLOCK, draws, len(centres), *state)
        return np.concatenate([centres, self.vectors(seeds[: int(found[0])])]), labels, closest


@frozen(eq=False)
class Grid:
    """Quantiles along each axis (axes, 2**bits - 1), and what each place adds to the number of a cell."""

    cuts: NDArray[np.float32]
    codes: NDArray[np.uint16]

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> Grid:
        """A grid of at most 2**16 cells, which hold equally many vectors where components are independent."""
        axes = min(vectors.shape[1], 16)
        bits = min(16 // axes, 8)
        sample = np.sort(vectors[:: max(len(vectors) // GRID_SAMPLE, 1), :axes], axis=0)
        places = np.arange(1, 1 << bits) * len(sample) >> bits
        numbers = np.arange(1 << bits)
        code = np.sum([(numbers >> bit & 1) << bit * axes for bit in range(bits)], axis=0)
        codes = code << np.arange(axes)[:, None]
        return cls(np.ascontiguousarray(sample[places].T), codes.astype(np.uint16))

    def order(self, vectors: NDArray[np.float32]) -> NDArray[np.uint32]:
        """The positions of the vectors, cell by cell."""
        cells = np.empty(len(vectors), np.uint16)
        starts = np.zeros((1 << 16) + 1, np.int64)
        kernels.boxes.find_cells(vectors, self.cuts, self.codes, cells, starts)
        order = np.empty(len(vectors), np.uint32)
        kernels.boxes.order_by_cell(cells, np.cumsum(starts), order)
        return order


def columns_of(vectors: NDArray[np.float32], order: NDArray[np.uint32]) -> NDArray[np.float32]:
    """The vectors (n, d) in an order, as columns."""
    columns = np.empty((vectors.shape[1], len(order)), np.float32)
    kernels.boxes.gather(vectors, order, columns)
    return columns
