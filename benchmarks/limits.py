"""Against what no tool can go below or beyond: a copy of the weight, and twice the speed with two threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import models
from benchmarks.fit import copied
from benchmarks.formats import fit_and_spell
from benchmarks.rows import Row, at_least, at_most
from benchmarks.timing import Samples, interleaved, seconds
from milpass import apply, fit_lut, parse

SIDE = 2000
COPIES = 25  # of 4M weights
# (network, elements of each of its 50 weights, fit)
SHARED = (
    ("25M in 50", "0.5M", "fit_lut(nbits=4)"),
    ("25M in 50", "0.5M", "fit_lut(nbits=8)"),
    ("25M in 50", "0.5M", "fit_lut(nbits=4, granularity=PerGroupedChannel(10))"),
    ("100M in 50", "2M", "fit_lut(nbits=4)"),
    ("100M in 50", "2M", "fit_lut(nbits=8)"),
)


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """A fit against a copy, and two threads against one."""
    yield _against_copy(3 if quick else 7)
    for name, size, fit in SHARED:
        yield _threads(fit, size, models.package(name, folder), folder, 3 if quick else 7)
    yield _processes(3 if quick else 7)


def _against_copy(rounds: int) -> Row:
    """One fp16 weight of 100M, per tensor, 4 bits, one thread: how many copies of it the fit takes."""
    weight = np.concatenate([models.layered_weight(seed, SIDE, SIDE) for seed in range(COPIES)])
    ours = partial(seconds, partial(fit_and_spell, weight, fit_lut(nbits=4)))
    mine, floor = map(Samples, interleaved(rounds, ours, partial(seconds, partial(copied, weight))))
    what = "100M fp16 per tensor, 4 bits: fit and pack, in copies of the weight"
    return Row(what, "s", mine, floor=floor, ratio=mine.over(floor), target=at_most(5))


def _processes(rounds: int) -> Row:
    """Two processes that share nothing but the machine: no tool's threads can gain more than they do."""
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_fits, range(2)))

        def run(count: int) -> float:
            return seconds(lambda: list(pool.map(_fits, range(count))))

        one, two = map(Samples, interleaved(rounds, partial(run, 1), partial(run, 2)))
    gain = Samples(tuple(2 * alone / both for alone, both in zip(one.values, two.values, strict=True)))
    return Row(
        "the same in two processes at once against one: what the machine gives", "s", two, one, ratio=gain
    )


def _fits(seed: int) -> None:
    """The fits of a process, for as long as a package takes."""
    weight = models.layered_weight(seed, 500, 1000)
    for _ in range(20):
        fit_and_spell(weight, fit_lut(nbits=4))


def _threads(fit: str, size: str, package: Path, folder: Path, rounds: int) -> Row:
    """A package of 50 weights of a size, written in process by one thread and by two."""
    pipeline = parse(f"select_weights() | {fit} | replace_const_with_lut()")

    def run(threads: int) -> float:
        out = folder / f"out-{threads}.mlpackage"
        write = partial(apply, pipeline, package, out, target="iOS18", overwrite=True, threads=threads)
        return seconds(write)

    one, two = map(Samples, interleaved(rounds, partial(run, 1), partial(run, 2)))
    what = f"50 weights of {size}, {fit}: two threads against one"
    return Row(what, "s", two, one, ratio=one.over(two), target=at_least(1.7))
