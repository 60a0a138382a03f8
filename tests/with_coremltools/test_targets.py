"""Every home of a program does what a target must; read by coremltools, not by the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest

from milpass.testing import TargetTests, read_program
from tests.with_coremltools.conftest import read_by_coremltools
from tests.with_coremltools.programs import converted


def constants(program: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The floating-point constants of a program that are no operands of compressed ones, decoded."""
    for block in blocks(program):
        for op in block.operations:
            if op.op_type.startswith("constexpr_"):
                yield op.outputs[0].name, op.materialized_val_inference()
            elif op.op_type == "const" and is_float(op.outputs[0]) and not only_feeds_constants(op):
                yield op.outputs[0].name, np.asarray(op.outputs[0].val)


def is_float(variable: Any) -> bool:
    return np.asarray(variable.val).dtype.kind == "f"


def only_feeds_constants(op: Any) -> bool:
    readers = op.outputs[0].child_ops
    return bool(readers) and all(reader.op_type.startswith("constexpr_") for reader in readers)


def blocks(program: Any) -> Iterator[Any]:
    waiting = list(program.functions.values())
    while waiting:
        block = waiting.pop()
        yield block
        waiting += [inner for op in block.operations for inner in op.blocks]


def op_types(program: Any) -> list[str]:
    ops = [op for block in blocks(program) for op in block.operations]
    return [op.op_type for op in ops if op.op_type != "const" and not op.op_type.startswith("constexpr_")]


class TestProgram(TargetTests):
    def made(self, text: str) -> Any:
        return read_program(text)

    def values(self, model: Any) -> Mapping[str, np.ndarray]:
        return dict(constants(model))

    def op_types(self, model: Any) -> list[str]:
        return op_types(model)

    def destination(self) -> None:
        return None


class TestPackage(TargetTests):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def made(self, text: str) -> Path:
        path = self.destination()
        converted(read_program(text)).save(str(path))
        return path

    def values(self, model: Path) -> Mapping[str, np.ndarray]:
        return dict(constants(read_by_coremltools(model)))

    def op_types(self, model: Path) -> list[str]:
        return op_types(read_by_coremltools(model))

    def destination(self) -> Path:
        return self.folder / f"{len(list(self.folder.iterdir()))}.mlpackage"


class TestLoadedModel(TestPackage):
    def made(self, text: str) -> Any:
        return ct.models.MLModel(str(super().made(text)), skip_model_load=True)

    def values(self, model: Any) -> Mapping[str, np.ndarray]:
        return super().values(Path(model.package_path))

    def op_types(self, model: Any) -> list[str]:
        return super().op_types(Path(model.package_path))
