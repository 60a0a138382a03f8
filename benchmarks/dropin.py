"""Whole calls with one changed import: an `MLModel` in, an `MLModel` out, the same config."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import models
from benchmarks.peer import coremltools
from benchmarks.rows import Row, at_least
from benchmarks.timing import Samples, interleaved, seconds
from milpass import compat

NETWORK = models.Network(width=1000, hidden=2000, blocks=1)
ROUNDS = 3


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """Each function of coremltools on 4M fp16 weights; quickly: once."""
    model = converted()
    for what, function, part in _calls():
        config = coremltools().optimize.coreml.OptimizationConfig(global_config=part)
        theirs = getattr(coremltools().optimize.coreml, function)
        measured = interleaved(
            1 if quick else ROUNDS,
            partial(_timed, getattr(compat, function), model, config),
            partial(_timed, theirs, model, config),
        )
        ours, peer = map(Samples, measured)
        target = at_least(20) if function == "palettize_weights" else None
        yield Row(f"{function}({what}), 4M weights", "s", ours, peer, ratio=peer.over(ours), target=target)


def _calls() -> tuple[tuple[str, str, Any], ...]:
    coreml = coremltools().optimize.coreml
    return (
        ("4 bits", "palettize_weights", coreml.OpPalettizerConfig(nbits=4)),
        ("8 bits", "palettize_weights", coreml.OpPalettizerConfig(nbits=8)),
        ("int8 per channel", "linear_quantize_weights", coreml.OpLinearQuantizerConfig()),
        ("half", "prune_weights", coreml.OpMagnitudePrunerConfig(target_sparsity=0.5)),
    )


def converted() -> Any:
    """The model in memory, as `ct.convert` gives it."""
    release = coremltools().target.iOS16
    program = models.feed_forward(NETWORK, seed=0)
    return coremltools().convert(program, minimum_deployment_target=release, skip_model_load=True)


def _timed(call: Callable[[Any, Any], Any], model: Any, config: Any) -> float:
    return seconds(lambda: call(model, config))
