"""One weight in every other way, array to encoding: fp32, groups, vectors, whole numbers; one thread."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from benchmarks import models, peer
from benchmarks.fit import copied
from benchmarks.rows import Row, Target, at_least
from benchmarks.timing import Samples, interleaved, seconds
from milpass import PerChannel, PerGroupedChannel, PerTensor, fit_affine, fit_lut
from milpass.dialects import DIALECTS
from milpass.fitting import mode_of
from milpass.fitting.fitted import FittedWeight, Terms
from milpass.granularity import Channels

SIDE = 2000
GROUP = 4  # channels of 2,000: groups of 8,000 elements


@frozen
class Case:
    """One fit against coremltools' pass with the same meaning, on so many rows of 2,000 weights."""

    what: str
    fit: Any
    config: Callable[[], Any]
    rows: int = SIDE
    dtype: type = np.float16
    target: Target | None = None
    repeats: int = 5


CASES = (
    Case(
        "fp32 per tensor, 4 bits, 4M weights",
        fit_lut(nbits=4),
        partial(peer.lut, 4),
        dtype=np.float32,
        target=at_least(20),
    ),
    Case(
        "fp32 per tensor, 6 bits, 4M weights",
        fit_lut(nbits=6),
        partial(peer.lut, 6),
        dtype=np.float32,
    ),
    Case(
        "fp16 in groups of 8,000, 4 bits, 1M weights",
        fit_lut(nbits=4, granularity=PerGroupedChannel(GROUP)),
        partial(peer.lut, 4, granularity="per_grouped_channel", group_size=GROUP),
        rows=500,
        target=at_least(15),
    ),
    Case(
        "fp16 in groups of 8,000, 8 bits, 0.2M weights",
        fit_lut(nbits=8, granularity=PerGroupedChannel(GROUP)),
        partial(peer.lut, 8, granularity="per_grouped_channel", group_size=GROUP),
        rows=100,
        target=at_least(100),
    ),
    Case(
        "fp16 in pairs (cluster_dim 2), 4 bits, 1M weights",
        fit_lut(nbits=4, cluster_dim=2),
        partial(peer.lut, 4, cluster_dim=2),
        rows=500,
        repeats=1,
    ),
    Case(
        "fp16 affine, 8 bits per channel, 4M weights",
        fit_affine(nbits=8, granularity=PerChannel()),
        partial(peer.affine, "int8", "per_channel"),
        target=at_least(3),
    ),
    Case(
        "fp16 affine symmetric, 4 bits per tensor, 4M weights",
        fit_affine(mode="linear_symmetric", nbits=4, granularity=PerTensor()),
        partial(peer.affine, "int4", "per_tensor", mode="linear_symmetric"),
    ),
)


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """The time of each case, and the squared error that it leaves."""
    for case in CASES:
        weight = models.layered_weight(0, case.rows, SIDE).astype(case.dtype)
        yield _time(case, weight, 1 if quick else 3)
        yield _error(case, weight)


def _time(case: Case, weight: NDArray[Any], rounds: int) -> Row:
    ours = partial(repeated, case.repeats, partial(fit_and_spell, weight, case.fit))
    theirs = partial(peer.pass_alone, weight, case.config())
    times = interleaved(rounds, ours, theirs, partial(repeated, 5, partial(copied, weight)))
    mine, peers, floor = map(Samples, times)
    return Row(f"{case.what}: time", "s", mine, peers, floor, ratio=peers.over(mine), target=case.target)


def _error(case: Case, weight: NDArray[Any]) -> Row:
    """The squared error of what is stored, ours and theirs, relative to the weight's sum of squares."""
    signal = float(np.square(weight, dtype=np.float64).sum())
    theirs = peer.decoded(weight, case.config())
    ours = fitted(weight, case.fit).encoding.decode()
    shares = [Samples((_squared(weight, seen) / signal,)) for seen in (ours, theirs)]
    return Row(f"{case.what}: squared error", "share", *shares, ratio=shares[1].over(shares[0]))


def fitted(weight: NDArray[Any], fit: Any) -> FittedWeight:
    """Ours: from the array to the encoding."""
    groups = fit.granularity.groups(weight.shape, Channels(0, 1))
    axis = 0 if getattr(fit, "cluster_dim", 1) > 1 else None
    return mode_of(fit.encoding, fit.mode).fit(weight, fit, Terms(range(1, 9), groups, vector_axis=axis))


def fit_and_spell(weight: NDArray[Any], fit: Any) -> Any:
    """Ours: from the array to what is stored, indices packed."""
    return DIALECTS["iOS18"].spell(fitted(weight, fit).encoding)


def _squared(weight: NDArray[Any], seen: NDArray[Any]) -> float:
    return float(np.square(weight.astype(np.float64) - seen.astype(np.float64)).sum())


def repeated(times: int, action: Callable[[], object]) -> float:
    return statistics.median(seconds(action) for _ in range(times))
