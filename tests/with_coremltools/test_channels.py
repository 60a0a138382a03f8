"""The axes of channels that both homes tell of a weight, by the operations that coremltools wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types

from milpass.granularity import Channels
from milpass.targets import open_target
from tests.with_coremltools.programs import saved


def const(*shape: int) -> Any:
    return mb.const(val=np.random.default_rng(0).standard_normal(shape).astype(np.float16), name="w")


def linear(x: Any) -> Any:
    return mb.linear(x=x, weight=const(8, 16), bias=np.zeros(8, np.float16))


def matmul(side: str, *, transposed: bool) -> Callable[[Any], Any]:
    def made(x: Any) -> Any:
        if side == "y":
            return mb.matmul(x=x, y=const(*((8, 16) if transposed else (16, 8))), transpose_y=transposed)
        column = mb.transpose(x=x, perm=(1, 0))
        return mb.matmul(x=const(*((16, 8) if transposed else (8, 16))), y=column, transpose_x=transposed)

    return made


def conv(x: Any) -> Any:
    image = mb.reshape(x=x, shape=(1, 4, 2, 2))
    return mb.conv(x=image, weight=const(8, 4, 1, 1))


def conv_transpose(x: Any) -> Any:
    image = mb.reshape(x=x, shape=(1, 4, 2, 2))
    return mb.conv_transpose(x=image, weight=const(4, 6, 2, 2))


def gather(x: Any) -> Any:
    rows = mb.cast(x=mb.squeeze(x=x, axes=(0,)), dtype="int32")
    return mb.gather(x=const(20, 8), indices=rows, axis=0)


def gather_columns(x: Any) -> Any:
    columns = mb.cast(x=mb.squeeze(x=x, axes=(0,)), dtype="int32")
    return mb.gather(x=const(20, 8), indices=columns, axis=1)


def through_transpose(x: Any) -> Any:
    return mb.matmul(x=x, y=mb.transpose(x=const(8, 16), perm=(1, 0)))


def through_cast(x: Any) -> Any:
    wide = mb.cast(x=mb.transpose(x=const(8, 16), perm=(1, 0)), dtype="fp32")
    return mb.matmul(x=mb.cast(x=x, dtype="fp32"), y=wide)


def through_reshape(x: Any) -> Any:
    return mb.matmul(x=x, y=mb.reshape(x=const(8, 16), shape=(16, 8)))


def twice(x: Any) -> Any:
    """The same constant by its rows and by its columns."""
    held = const(16, 16)
    return mb.matmul(x=mb.matmul(x=x, y=held), y=held, transpose_y=True)


def alike(x: Any) -> Any:
    """The same constant twice, each time by its columns."""
    held = const(16, 16)
    return mb.matmul(x=mb.matmul(x=x, y=held), y=held)


def added(x: Any) -> Any:
    return mb.add(x=x, y=const(8, 16))


UNTOLD = "no operation that uses it tells which axis has its channels"
CASES: list[tuple[Callable[[Any], Any], Channels]] = [
    (linear, Channels(0, 1)),
    (matmul("y", transposed=False), Channels(1, 0)),
    (matmul("y", transposed=True), Channels(0, 1)),
    (matmul("x", transposed=False), Channels(0, 1)),
    (matmul("x", transposed=True), Channels(1, 0)),
    (conv, Channels(0, 1)),
    (conv_transpose, Channels(1, 0)),
    (gather, Channels(0, 1)),
    (gather_columns, Channels(why=UNTOLD)),
    (through_transpose, Channels(0, 1)),
    (through_cast, Channels(0, 1)),
    (through_reshape, Channels(why=UNTOLD)),
    (twice, Channels(why="its readers have their output channels along axes 0 and 1")),
    (alike, Channels(1, 0)),
    (added, Channels(why=UNTOLD)),
]


@pytest.mark.parametrize(("made", "expected"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_both_homes_tell_the_axes(made: Callable[[Any], Any], expected: Channels, tmp_path: Path) -> None:
    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 16), dtype=types.fp16)], opset_version=ct.target.iOS16)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        return made(x)

    package = saved(program, tmp_path / "model.mlpackage")
    for home in (program, package):
        (weight,) = [each for each in open_target(home).weights() if each.name == "w"]
        found = weight.channels
        assert (found.output, found.input) == (expected.output, expected.input)
        if expected.output is None:
            assert found.why == expected.why
