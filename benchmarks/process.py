"""Whole processes, imports included: a package in, a palettized package out; time and peak memory."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import models
from benchmarks.rows import Row, Target, at_least, more_than
from benchmarks.timing import Samples, Usage, run_command, seconds, usage_samples

MILPASS = str(Path(sys.executable).with_name("milpass"))
PEER = """
import sys
import coremltools as ct
import coremltools.optimize.coreml as cto
model = ct.models.MLModel(sys.argv[1], skip_model_load=True)
config = cto.OptimizationConfig(cto.OpPalettizerConfig(mode="kmeans", nbits=int(sys.argv[3])))
cto.palettize_weights(model, config).save(sys.argv[2])
"""
# (network, bits) -> the target
TIME_TARGETS = {
    ("1M", 4): at_least(6),
    ("25M", 4): at_least(18),
    ("250M", 4): at_least(60),
    ("250M", 8): at_least(120),
}
MEMORY_TARGETS: dict[tuple[str, int], Target] = {("25M", 4): more_than(2), ("250M", 4): at_least(6)}
ROUNDS = {"1M": 9, "25M": 7, "250M": 2}
QUICK_ROUNDS = {"1M": 2, "25M": 1, "250M": 1}


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """The two smaller networks: time, then memory."""
    for name in ("1M", "25M"):
        yield from _network(name, quick, folder)


def large_rows(quick: bool, folder: Path) -> Iterator[Row]:
    """The largest network, for which coremltools takes most of a minute each time."""
    for nbits in (4, 8):
        yield from _network("250M", quick, folder, nbits)


def _network(name: str, quick: bool, folder: Path, nbits: int = 4) -> Iterator[Row]:
    source = models.package(name, folder)
    runs = _runs(source, folder, nbits, rounds=(QUICK_ROUNDS if quick else ROUNDS)[name])
    yield from _rows((name, nbits), *zip(*runs, strict=True))


def _runs(source: Path, folder: Path, nbits: int, rounds: int) -> list[tuple[Usage, Usage, Usage, float]]:
    """Ours with and without verification, theirs and the copy in turn, each over what it wrote before.

    The first round only warms up.
    """
    ours, theirs, copy = (folder / f"out-{who}.mlpackage" for who in ("ours", "theirs", "copy"))
    options = ["--nbits", str(nbits), "--overwrite"]

    def palettize(*more: str) -> Usage:
        return run_command([MILPASS, "palettize", str(source), "-o", str(ours), *options, *more])

    coremltools = partial(run_command, [sys.executable, "-c", PEER, str(source), str(theirs), str(nbits)])
    floor = partial(seconds, partial(copy_package, source, copy))
    unverified = partial(palettize, "--no-verify")
    runs: list[tuple[Usage, Usage, Usage, float]] = []
    for _ in range(rounds + 1):
        runs.append((palettize(), unverified(), coremltools(), floor()))
    for path in (ours, theirs, copy):
        shutil.rmtree(path)
    return runs[1:]


def _rows(
    network: tuple[str, int],
    ours: tuple[Usage, ...],
    unverified: tuple[Usage, ...],
    theirs: tuple[Usage, ...],
    copies: tuple[float, ...],
) -> Iterator[Row]:
    """The time of a network with verification, which coremltools has not, and without; and its memory."""
    what = "package of {} fp16, {} bits".format(*network)
    our_time, our_memory = usage_samples(ours)
    their_time, their_memory = usage_samples(theirs)
    for how, time in (("", our_time), (", --no-verify", usage_samples(unverified)[0])):
        yield Row(
            f"{what}{how}: time",
            "s",
            time,
            their_time,
            Samples(copies),
            ratio=their_time.over(time),
            target=TIME_TARGETS.get(network),
        )
    yield Row(
        f"{what}: peak memory",
        "MB",
        our_memory,
        their_memory,
        ratio=their_memory.over(our_memory),
        target=MEMORY_TARGETS.get(network),
    )


def copy_package(source: Path, out: Path) -> None:
    """Read and write every byte: `copyfileobj` copies through memory, so nothing is shared (reflinked)."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out, copy_function=_copy_file)


def _copy_file(source: str, out: str) -> None:
    with open(source, "rb") as reading, open(out, "wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
