"""Inside a conversion: a program of many small operations, edited in place, pass against pass."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import models
from benchmarks.peer import coremltools, palettize_program
from benchmarks.rows import Row, at_least
from benchmarks.timing import Samples, interleaved, seconds
from milpass import fit_lut, replace_const_with_lut, select_weights

OPERATIONS = (1000, 3000, 10_000)
NBITS = 4
ROUNDS = 3


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """How time grows with the operations; quickly: without the last point."""
    for count in OPERATIONS[: -1 if quick else None]:
        measured = interleaved(
            1 if count == max(OPERATIONS) else ROUNDS,
            partial(_timed, count, _ours),
            partial(_timed, count, partial(palettize_program, nbits=NBITS)),
        )
        ours, theirs = map(Samples, measured)
        what = f"program of {count} operations, inside a conversion, 4 bits"
        point = ("operations of a program", float(count))
        yield Row(what, "s", ours, theirs, ratio=theirs.over(ours), target=at_least(1), point=point)


def _timed(count: int, action: Any) -> float:
    """The time on a program made anew, since it is edited in place."""
    program = models.small_linears(count)
    return seconds(lambda: action(program))


def _ours(program: Any) -> None:
    """All of the steps that `to_coremltools` appends, run as coremltools runs them."""
    pipeline = select_weights() | fit_lut(nbits=NBITS) | replace_const_with_lut()
    passes = pipeline.to_coremltools(coremltools().PassPipeline.EMPTY)
    from coremltools.converters.mil.mil.passes.pass_pipeline import PassPipelineManager

    PassPipelineManager.apply_pipeline(program, passes)
