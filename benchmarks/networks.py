"""Neural networks: `quantize_weights` call for call, its tables against scikit-learn, whole processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from benchmarks import models, peer
from benchmarks.formats import fit_and_spell, fitted, repeated
from benchmarks.process import MILPASS
from benchmarks.rows import Row, at_least, more_than
from benchmarks.timing import Samples, Usage, interleaved, run_command, seconds, usage_samples
from milpass import compat, fit_lut

ROUNDS = 3
OURS_REPEATED = 5


@frozen
class Call:
    """A call of `quantize_weights`, and how many times faster it has to be than theirs, of `peer_mode`.

    Theirs is timed as the median of so many in a row, ours of five.
    """

    what: str
    nbits: int
    mode: str
    least: float
    peer_mode: str
    repeats: int = 1


CALLS = (
    Call("6 bits, linear", 6, "linear", 200, "linear"),
    Call("4 bits, linear_lut", 4, "linear_lut", 200, "linear_lut"),
    # coremltools 9.0 raises an error for tables of k-means.
    Call("4 bits, kmeans_lut; theirs: linear_lut", 4, "kmeans_lut", 200, "linear_lut"),
    Call("8 bits, linear", 8, "linear", 2, "linear", repeats=5),
    Call("fp16", 16, "linear", 2, "linear", repeats=5),
)
PEER = """
import sys
import coremltools as ct
from coremltools.models.neural_network.quantization_utils import quantize_weights
model = ct.models.MLModel(sys.argv[1], skip_model_load=True)
quantize_weights(model, 8, "linear").save(sys.argv[2])
"""


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """Calls in process, tables, whole processes; quickly: once, and 1M weights in place of 25M."""
    rounds = 1 if quick else ROUNDS
    for what, model in _networks(folder):
        for call in CALLS:
            yield _call(what, model, call, rounds)
    yield from _tables(rounds)
    yield from _processes("1M" if quick else "25M", folder, rounds)


def _networks(folder: Path) -> Iterator[tuple[str, Any]]:
    """A network that is made, and the largest real one, if there are any, plain whatever it was before."""
    load = partial(peer.coremltools().models.MLModel, skip_model_load=True)
    yield "1M weights", load(str(models.neural_network("1M", folder)))
    found = Path(os.environ.get("MILPASS_MODELS", "nowhere"), "neuralnetwork").glob("*.mlmodel")
    if real := max(found, key=lambda path: path.stat().st_size, default=None):
        yield real.stem, compat.quantize_weights(load(str(real)), None, "dequantization")


def _call(what: str, model: Any, call: Call, rounds: int) -> Row:
    ours = partial(compat.quantize_weights, model, call.nbits, call.mode)
    theirs = partial(peer.quantize_network, model, call.nbits, call.peer_mode)
    ours()
    measured = interleaved(
        rounds, partial(repeated, OURS_REPEATED, ours), partial(repeated, call.repeats, theirs)
    )
    mine, others = map(Samples, measured)
    ratio = others.over(mine)
    return Row(f"{what}: {call.what}", "s", mine, others, ratio=ratio, target=at_least(call.least))


def _tables(rounds: int) -> Iterator[Row]:
    """One fp32 weight of 1M: the time of 16 entries, and the squared error that they leave."""
    weight = models.layered_fp32(7, 1000, 1000)
    ours = partial(seconds, partial(fit_and_spell, weight, fit_lut(nbits=4)))
    theirs = partial(seconds, partial(peer.scikit_learn_table, weight, 4))
    mine, others = map(Samples, interleaved(rounds, ours, theirs))
    what = "1M fp32, 4 bits, k-means, theirs by scikit-learn"
    yield Row(f"{what}: time", "s", mine, others, ratio=others.over(mine), target=at_least(20))
    seen = fitted(weight, fit_lut(nbits=4)).encoding.decode(), peer.scikit_learn_table(weight, 4)
    signal = float(np.square(weight, dtype=np.float64).sum())
    error, error_there = (
        Samples((float(np.square(each - weight, dtype=np.float64).sum()) / signal,)) for each in seen
    )
    ratio = error_there.over(error)
    yield Row(f"{what}: squared error", "share", error, error_there, ratio=ratio, target=at_least(1))


def _processes(name: str, folder: Path, rounds: int) -> Iterator[Row]:
    """8 bits, linear, file to file; the first round only warms up."""
    source = models.neural_network(name, folder)
    out, out_there = folder / "out-ours.mlmodel", folder / "out-theirs.mlmodel"
    options = ["--mode", "linear", "--nbits", "8", "--overwrite"]

    def ours(*more: str) -> Usage:
        return run_command([MILPASS, "quantize", str(source), "-o", str(out), *options, *more])

    theirs = partial(run_command, [sys.executable, "-c", PEER, str(source), str(out_there)])
    runs = interleaved(rounds + 1, ours, partial(ours, "--no-verify"), theirs)
    (time, memory), (unverified, _), (time_there, memory_there) = (usage_samples(each[1:]) for each in runs)
    for path in (out, out_there):
        path.unlink()
    what = f"neural network of {name} fp32, 8 bits"
    for more, each in (("", time), (", --no-verify", unverified)):
        ratio = time_there.over(each)
        yield Row(f"{what}{more}: time", "s", each, time_there, ratio=ratio, target=at_least(2))
    ratio = memory_there.over(memory)
    yield Row(f"{what}: peak memory", "MB", memory, memory_there, ratio=ratio, target=more_than(1))
