"""One fp16 weight of 4M elements, in process, one thread: from the array to a table and packed indices."""

from __future__ import annotations

import mmap
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import models, peer
from benchmarks.rows import Row, at_least
from benchmarks.timing import Samples, interleaved, seconds
from milpass import fit_lut
from milpass.encodings import Lut
from milpass.fitting import mode_of
from milpass.fitting.fitted import Terms

SIDE = 2000
TARGETS = {4: 40.0, 8: 100.0}
WEIGHTS = {"layered": models.layered_weight, "heavy-tailed": models.heavy_tailed_weight}
# Our runs and the copy last milliseconds: the median of so many stands for one.
REPEATS = 5


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """Each kind of weight at each number of bits: against the pass alone, then the whole call."""
    rounds = 2 if quick else 5
    for kind in list(WEIGHTS)[: 1 if quick else None]:
        weight = WEIGHTS[kind](0, SIDE, SIDE)
        for nbits in TARGETS:
            name = f"4M fp16 {kind}, {nbits} bits: fit and pack"
            yield _row(f"{name}, against the pass", weight, nbits, partial(pass_alone, weight, nbits), rounds)
            yield _row(f"{name}, against the call", weight, nbits, _whole_call(weight, nbits), rounds)


def _row(what: str, weight: NDArray[np.float16], nbits: int, theirs: Callable[[], float], rounds: int) -> Row:
    """Ours against a run of coremltools; the copy of the weight is the floor."""
    ours = partial(repeated, partial(fit_and_pack, weight, nbits))
    times = interleaved(rounds, ours, theirs, partial(repeated, partial(copied, weight)))
    mine, peers, floor = map(Samples, times)
    return Row(what, "s", mine, peers, floor, ratio=peers.over(mine), target=at_least(TARGETS[nbits]))


def repeated(action: Callable[[], object]) -> float:
    return statistics.median(seconds(action) for _ in range(REPEATS))


def fit_and_pack(weight: NDArray[np.float16], nbits: int) -> NDArray[np.uint8]:
    """Ours: from the array to the packed indices."""
    encoding = mode_of("lut", "kmeans").fit(weight, fit_lut(nbits=nbits), Terms(range(1, 9))).encoding
    assert isinstance(encoding, Lut)
    return encoding.indices.packed()


def copied(weight: NDArray[np.float16]) -> NDArray[np.float16]:
    """The floor: a copy into memory new from the system; `array.copy()` may get what was just freed."""
    memory = mmap.mmap(-1, weight.nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)  # as numpy asks for large arrays
    fresh = np.frombuffer(memory, weight.dtype).reshape(weight.shape)
    np.copyto(fresh, weight)
    return fresh


def pass_alone(weight: NDArray[np.float16], nbits: int) -> float:
    """Theirs: the graph pass on a PyMIL program made beforehand."""
    program = models.single_linear(weight)
    return seconds(partial(peer.palettize_program, program, nbits))


def _whole_call(weight: NDArray[np.float16], nbits: int) -> Callable[[], float]:
    """Theirs: `palettize_weights` on a model loaded beforehand."""
    model = models.converted(models.single_linear(weight))
    return partial(seconds, partial(peer.palettize_model, model, nbits))
