"""Packages that someone made on purpose: each a change of a sound one, by its name."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from milpass.targets import protobuf
from tests.fuzzing.samples import MODEL, WEIGHTS
from tests.packages import set_type

Change: TypeAlias = Callable[[Path], object]

TERABYTE = 1 << 40
HALF = 10  # MIL's number of fp16


def edited(change: Callable[[Any, Any], object]) -> Change:
    """A change of the message: of the model, and of the block of its first function."""

    def carry_out(package: Path) -> None:
        file = package / MODEL
        model = protobuf.parse_model(file.read_bytes(), str(file))
        function = model.mlProgram.functions["main"]
        change(model, function.block_specializations[function.opset])
        file.write_bytes(model.SerializeToString(deterministic=True))

    return carry_out


def written(path: str, data: bytes) -> Change:
    """Other bytes in a file."""
    return lambda package: (package / path).write_bytes(data)


def replaced(path: str, make: Callable[[Path], object]) -> Change:
    """Something else where a file or folder was."""

    def carry_out(package: Path) -> None:
        place = package / path
        shutil.rmtree(place) if place.is_dir() else place.unlink()
        make(place)

    return carry_out


def packed(at: int, form: str, value: int) -> Change:
    """Other numbers at a place in the weight file."""

    def carry_out(package: Path) -> None:
        data = bytearray((package / WEIGHTS).read_bytes())
        struct.pack_into(form, data, at, value)
        (package / WEIGHTS).write_bytes(data)

    return carry_out


def sparse(path: str) -> Change:
    """A file that goes on for a terabyte of nothing."""
    return lambda package: os.truncate(package / path, TERABYTE)


def manifest(change: Callable[[Any], object]) -> Change:
    """Another manifest."""

    def carry_out(package: Path) -> None:
        held = json.loads((package / "Manifest.json").read_text())
        change(held)
        (package / "Manifest.json").write_text(json.dumps(held))

    return carry_out


def model_path(path: Any) -> Change:
    """A manifest that names another model file."""
    return manifest(lambda held: held["itemInfoEntries"][held["rootModelIdentifier"]].update(path=path))


def renamed(name: str) -> Change:
    """The constant of the second convolution called otherwise."""

    def change(model: Any, block: Any) -> None:
        for op in block.operations:
            bindings = [b for argument in op.inputs.values() for b in argument.arguments]
            for each in (*op.outputs, *bindings):
                if each.name == "conv2_weight_to_fp16":
                    each.name = name

    return edited(change)


def shape_of_conv2(*shape: int) -> Change:
    """Another shape of the second convolution's constant, the same in both places."""

    def change(model: Any, block: Any) -> None:
        (op,) = [op for op in block.operations if op.outputs[0].name == "conv2_weight_to_fp16"]
        for held in (op.outputs[0].type, op.attributes["val"].type):
            del held.tensorType.dimensions[:]
            set_type(held, HALF, shape)

    return edited(change)


def add_op(block: Any, op_type: str, result: str, shape: tuple[int, ...], **inputs: list[str]) -> Any:
    """An operation at the end of a block, its inputs results by name."""
    op = block.operations.add(type=op_type)
    for name, sources in inputs.items():
        for source in sources:
            op.inputs[name].arguments.add(name=source)
    set_type(op.outputs.add(name=result).type, HALF, shape)
    return op


def inline(op: Any, name: str, dtype: int, array: Any) -> None:
    """An input of an operation that stands in the model file."""
    value = op.inputs[name].arguments.add().value
    set_type(value.type, dtype, array.shape)
    value.immediateValue.tensor.bytes.values = array.tobytes()


def chain(length: int) -> Change:
    """Scales of scales of scales."""

    def change(model: Any, block: Any) -> None:
        below = "conv2_weight_to_fp16"
        for number in range(length):
            op = add_op(block, "constexpr_blockwise_shift_scale", f"c{number}", (64, 32, 3, 3), data=[below])
            inline(op, "scale", HALF, np.ones((1, 1, 1, 1), np.float16))
            below = f"c{number}"

    return edited(change)


def diamond(length: int, op_type: str, *inputs: str) -> Change:
    """Operations that each take the one before twice."""

    def change(model: Any, block: Any) -> None:
        below = "conv2_weight_to_fp16"
        for number in range(length):
            given = {name: [below, below] for name in inputs}
            below = add_op(block, op_type, f"d{number}", (64, 32, 3, 3), **given).outputs[0].name

    return edited(change)


def cycle(model: Any, block: Any) -> None:
    """Two constants, each made of the other, and one of itself."""
    for name, other in (("p", "q"), ("q", "p"), ("r", "r")):
        op = add_op(block, "constexpr_blockwise_shift_scale", name, (2, 2), data=[other])
        inline(op, "scale", HALF, np.ones((1, 1), np.float16))


def bomb(model: Any, block: Any) -> None:
    """Half a megabyte that says it is four hundred gigabytes: a vector of a hundred thousand for each bit."""
    op = add_op(block, "constexpr_lut_to_dense", "bomb", (1 << 21, 100_000))
    inline(op, "indices", 37, np.zeros(1 << 18, np.uint8))
    del op.inputs["indices"].arguments[0].value.type.tensorType.dimensions[:]
    set_type(op.inputs["indices"].arguments[0].value.type, 37, (1 << 21, 1))
    inline(op, "lut", HALF, np.zeros((1, 1, 2, 100_000), np.float16))
    inline(op, "vector_axis", 23, np.array(1, np.int32))
    held = op.inputs["vector_axis"].arguments[0].value.immediateValue.tensor
    held.ints.values.append(1)
    for function in model.mlProgram.functions.values():
        function.opset = "CoreML8"
        function.block_specializations["CoreML8"].CopyFrom(block)
        del function.block_specializations["CoreML6"]
    model.specificationVersion = 9


def turned(perm: list[int]) -> Change:
    """A constant that goes through a transposition of axes that it has not."""

    def change(model: Any, block: Any) -> None:
        op = add_op(block, "transpose", "turned", (64, 1024), x=["hidden_weight_to_fp16"])
        value = op.inputs["perm"].arguments.add().value
        set_type(value.type, 23, (len(perm),))
        value.immediateValue.tensor.ints.values.extend(perm)
        add_op(block, "linear", "late", (1, 64), x=["turned"], weight=["turned"])

    return edited(change)
