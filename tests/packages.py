"""Small packages written with raw protobuf messages and struct, free of the code under test."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, field, frozen

from milpass.targets import protobuf

WEIGHTS = "@model_path/weights/weight.bin"
CODES = {"float16": (10, 1), "float32": (11, 2), "int32": (23, 14), "uint8": (31, 3)}


@frozen(eq=False)
class Const:
    """A constant: in a weight file, or (`immediate`) in the model file; equal `share` means equal bytes."""

    name: str
    array: np.ndarray
    immediate: bool = False
    file: str = WEIGHTS
    share: str | None = None


@frozen
class Op:
    """An operation of any type; `inputs` maps input names to names of results."""

    type: str
    inputs: dict[str, str]
    output: str
    shape: tuple[int, ...] = (1, 4)
    blocks: tuple[Block, ...] = ()
    dtype: int = 10


@frozen
class Block:
    """A function's body or a nested one."""

    steps: Sequence[Const | Op]
    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


@define
class WeightFile:
    """A weight file as MILBlob lays it out."""

    data: bytearray = field(factory=lambda: bytearray(64))
    count: int = 0

    def append(self, array: np.ndarray) -> int:
        self.data += bytes(-len(self.data) % 64)
        offset, raw = len(self.data), array.tobytes()
        code = CODES[array.dtype.name][1]
        self.data += struct.pack("<IIQQQ32x", 0xDEADBEEF, code, len(raw), offset + 64, 0) + raw
        self.count += 1
        return offset

    def finished(self) -> bytes:
        self.data[:8] = struct.pack("<II", self.count, 2)
        return bytes(self.data)


@define
class Writer:
    """Collects a model message and its weight files."""

    model: Any
    files: dict[str, WeightFile] = field(factory=dict)
    shared: dict[str, int] = field(factory=dict)

    def block(self, message: Any, block: Block) -> None:
        for name in block.inputs:
            set_type(message.inputs.add(name=name).type, 10, (1, 4))
        for step in block.steps:
            operation = message.operations.add()
            if isinstance(step, Const):
                self.const(operation, step)
            else:
                self.op(operation, step)
        message.outputs.extend(block.outputs)

    def const(self, operation: Any, const: Const) -> None:
        operation.type = "const"
        set_text(operation.attributes["name"], const.name)
        dtype = CODES[const.array.dtype.name][0]
        set_type(operation.outputs.add(name=const.name).type, dtype, const.array.shape)
        value = operation.attributes["val"]
        set_type(value.type, dtype, const.array.shape)
        if not const.immediate:
            value.blobFileValue.fileName = const.file
            value.blobFileValue.offset = self.offset(const)
        elif dtype == 11:
            value.immediateValue.tensor.floats.values.extend(const.array.reshape(-1).tolist())
        else:
            value.immediateValue.tensor.bytes.values = const.array.tobytes()

    def offset(self, const: Const) -> int:
        if const.share in self.shared:
            return self.shared[const.share]
        offset = self.files.setdefault(const.file, WeightFile()).append(const.array)
        if const.share:
            self.shared[const.share] = offset
        return offset

    def op(self, operation: Any, op: Op) -> None:
        operation.type = op.type
        set_text(operation.attributes["name"], f"{op.output}_op")
        for name, source in op.inputs.items():
            operation.inputs[name].arguments.add(name=source)
        set_type(operation.outputs.add(name=op.output).type, op.dtype, op.shape)
        for block in op.blocks:
            self.block(operation.blocks.add(), block)


def set_type(message: Any, dtype: int, shape: tuple[int, ...]) -> None:
    message.tensorType.dataType = dtype
    message.tensorType.rank = len(shape)
    for length in shape:
        message.tensorType.dimensions.add().constant.size = length


def set_text(message: Any, text: str) -> None:
    message.type.tensorType.dataType = 2
    message.immediateValue.tensor.strings.values.append(text)


def write_package(
    path: Path,
    functions: dict[str, Block] | Sequence[Const | Op],
    *,
    version: int = 7,
    opset: str = "CoreML6",
    change: Callable[[Any], None] | None = None,
) -> Path:
    """A package with these functions (or steps of `main`); `change` edits the message before it is saved."""
    if not isinstance(functions, dict):
        functions = {"main": Block(functions, outputs=(functions[-1].output,))}  # type: ignore[union-attr]
    writer = Writer(protobuf.parse_model(b"", "new"))
    writer.model.specificationVersion = version
    writer.model.mlProgram.version = 1
    for name, block in functions.items():
        function = writer.model.mlProgram.functions[name]
        function.opset = opset
        set_type(function.inputs.add(name="x").type, 10, (1, 4))
        writer.block(function.block_specializations[opset], block)
    if change:
        change(writer.model)
    save(path, writer)
    return path


def save(path: Path, writer: Writer) -> None:
    folder = path / "Data" / "com.apple.CoreML"
    folder.mkdir(parents=True)
    (folder / "model.mlmodel").write_bytes(writer.model.SerializeToString(deterministic=True))
    items = {"M": {"author": "a", "name": "model.mlmodel", "path": "com.apple.CoreML/model.mlmodel"}}
    for name, file in writer.files.items():
        place = folder / name.removeprefix("@model_path/")
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(file.finished())
        items["W"] = {"author": "a", "name": "weights", "path": "com.apple.CoreML/weights"}
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": items, "rootModelIdentifier": "M"}
    (path / "Manifest.json").write_text(json.dumps(manifest, indent=2))


def model_of(path: Path) -> Any:
    """The model message of a package."""
    data = (path / "Data" / "com.apple.CoreML" / "model.mlmodel").read_bytes()
    return protobuf.parse_model(data, str(path))


def operations_of(path: Path) -> dict[str, Any]:
    """Every operation of every function and nested block, by the name of its first result."""
    found: dict[str, Any] = {}

    def walk(block: Any) -> None:
        for operation in block.operations:
            found.update({operation.outputs[0].name: operation} if operation.outputs else {})
            for inner in operation.blocks:
                walk(inner)

    for function in model_of(path).mlProgram.functions.values():
        for block in function.block_specializations.values():
            walk(block)
    return found


def blob_bytes(path: Path, value: Any) -> bytes:
    """The stored bytes of a value that lies in a weight file."""
    name = value.blobFileValue.fileName.removeprefix("@model_path/")
    data = (path / "Data" / "com.apple.CoreML" / name).read_bytes()
    sentinel, _, size, start, _ = struct.unpack_from("<IIQQQ", data, value.blobFileValue.offset)
    assert sentinel == 0xDEADBEEF
    return data[start : start + size]


def digest(path: Path) -> dict[str, tuple[str, int]]:
    """The hash and modification time of every file below a folder."""
    return {
        str(file.relative_to(path)): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def masked(model: Any, replaced: Sequence[str] = ()) -> bytes:
    """The model's bytes with blob offsets made 0, and without the operations named."""

    def walk(block: Any) -> None:
        kept = [op for op in block.operations if not (op.outputs and op.outputs[0].name in replaced)]
        copies = [type(op).FromString(op.SerializeToString()) for op in kept]
        del block.operations[:]
        block.operations.extend(copies)
        for operation in block.operations:
            for value in _values(operation):
                if value.WhichOneof("value") == "blobFileValue":
                    value.blobFileValue.offset = 0
            for inner in operation.blocks:
                walk(inner)

    copy = type(model).FromString(model.SerializeToString())
    for function in copy.mlProgram.functions.values():
        for block in function.block_specializations.values():
            walk(block)
    return bytes(copy.SerializeToString(deterministic=True))


def _values(operation: Any) -> list[Any]:
    bound = [
        b.value for a in operation.inputs.values() for b in a.arguments if b.WhichOneof("binding") == "value"
    ]
    return [*operation.attributes.values(), *bound]
