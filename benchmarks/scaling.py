"""How time grows: with the weights of a constant, the entries and groups of its tables, the operations."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import models, peer
from benchmarks.fit import copied, fit_and_pack, pass_alone, repeated
from benchmarks.formats import fit_and_spell
from benchmarks.peer import coremltools, palettize_model
from benchmarks.rows import Row, at_least
from benchmarks.timing import Samples, interleaved, seconds
from milpass import PerGroupedChannel, apply, fit_lut, replace_const_with_lut, select_weights

SIDES = (500, 1000, 2000, 4000, 8000)
BITS = (1, 2, 4, 6, 8)
GROUP_SIZES = (400, 100, 20, 4, 1)  # channels of 2,000, of 400
OPERATIONS = (100, 500, 1000, 5000, 10_000)
TARGETS = {10_000: at_least(10)}
MIDDLE_SIDE = 2000
MIDDLE_BITS = 4


def rows(quick: bool, folder: Path) -> Iterator[Row]:
    """The four curves, point by point; quickly: without the last point of each."""
    last = -1 if quick else None
    for side in SIDES[:last]:
        yield _fitted("weights", side**2, side, MIDDLE_BITS)
    for nbits in BITS[:last]:
        yield _fitted("entries", 1 << nbits, MIDDLE_SIDE, nbits)
    for size in GROUP_SIZES[:last]:
        yield _grouped(size)
    for count in OPERATIONS[:last]:
        yield _whole(count, folder)


def _fitted(axis: str, x: int, side: int, nbits: int) -> Row:
    """One fp16 weight: fit and pack, against the pass, and a copy of the weight."""
    weight = models.layered_weight(0, side, side)
    ours, floor = partial(fit_and_pack, weight, nbits), partial(copied, weight)
    times = interleaved(
        2, partial(repeated, ours), partial(pass_alone, weight, nbits), partial(repeated, floor)
    )
    what = f"one weight of {side**2 / 1e6:g}M, {1 << nbits} entries"
    return _row(what, (axis, float(x)), *map(Samples, times))


def _grouped(size: int) -> Row:
    """A weight of 400 x 2,000 in groups of so many channels."""
    weight = models.layered_weight(0, max(GROUP_SIZES), MIDDLE_SIDE)
    ours = partial(fit_and_spell, weight, fit_lut(nbits=MIDDLE_BITS, granularity=PerGroupedChannel(size)))
    config = peer.lut(MIDDLE_BITS, granularity="per_grouped_channel", group_size=size)
    theirs, floor = partial(peer.pass_alone, weight, config), partial(copied, weight)
    times = interleaved(1, partial(repeated, ours), theirs, partial(repeated, floor))
    groups = max(GROUP_SIZES) // size
    return _row(f"one weight of 0.8M, {groups} groups", ("groups", float(groups)), *map(Samples, times))


def _whole(count: int, folder: Path) -> Row:
    """A package of many small operations, in process: read, fitted, written."""
    source = models.small_package(count, folder)
    out = folder / "out-scaling.mlpackage"
    actions = (partial(_ours, source, out), partial(_theirs, source, out), partial(_copy, source, out))
    measured = [partial(_timed_afresh, out, action) for action in actions]
    rounds = 1 if count >= max(OPERATIONS) else 3
    return _row(
        f"{count} operations", ("operations", float(count)), *map(Samples, interleaved(rounds, *measured))
    )


def _row(what: str, point: tuple[str, float], ours: Samples, theirs: Samples, floor: Samples) -> Row:
    target = TARGETS.get(int(point[1])) if point[0] == "operations" else None
    return Row(what, "s", ours, theirs, floor, ratio=theirs.over(ours), target=target, point=point)


def _timed_afresh(out: Path, action: Callable[[], object]) -> float:
    taken = seconds(action)
    shutil.rmtree(out)
    return taken


def _ours(source: Path, out: Path) -> Any:
    pipeline = select_weights() | fit_lut(nbits=MIDDLE_BITS) | replace_const_with_lut()
    return apply(pipeline, source, out)


def _theirs(source: Path, out: Path) -> None:
    model = coremltools().models.MLModel(str(source), skip_model_load=True)
    palettize_model(model, MIDDLE_BITS).save(str(out))


def _copy(source: Path, out: Path) -> None:
    shutil.copytree(source, out)
