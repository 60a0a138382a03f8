"""What the tests against coremltools share; importing it takes seconds, so these tests stand apart."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
MODELS = Path(os.environ.get("MILPASS_MODELS", ROOT.parent / "shared" / "models"))

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    logging.getLogger("coremltools").setLevel(logging.CRITICAL)
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load as load_program


def read_by_coremltools(package: Path) -> Any:
    """The PyMIL program that coremltools makes of a package, from a copy: it writes the manifest anew."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / package.name
        shutil.copytree(package, copy)
        model = ct.models.MLModel(str(copy), skip_model_load=True)
        spec = model.get_spec()
        return load_program(spec, spec.specificationVersion, model.weights_dir)


@pytest.fixture
def decoded() -> Callable[[Path], dict[tuple[str, str], Any]]:
    """Every constant of a package, by function and name, as coremltools loads and decodes it, from a copy."""

    def decode(package: Path) -> dict[tuple[str, str], Any]:
        program = read_by_coremltools(package)
        found: dict[tuple[str, str], Any] = {}
        for name, function in program.functions.items():
            _collect(name, function, found)
        return found

    return decode


def _collect(function: str, block: Any, found: dict[tuple[str, str], Any]) -> None:
    for op in block.operations:
        key = (function, op.outputs[0].name if op.outputs else "")
        if op.op_type == "const":
            found[key] = op.outputs[0].val
        elif op.op_type.startswith("constexpr_") and len(op.outputs) == 1:
            found[key] = evaluated(op)[0]
        for inner in op.blocks:
            _collect(function, inner, found)


def evaluated(op: Any) -> tuple[Any, ...]:
    """The results of an operation that decompresses a constant, by coremltools' own definitions.

    Operations whose results it takes come first: coremltools' inference fails on most that are nested.
    """
    operands = {name: None if var is None else _value(var) for name, var in op.inputs.items()}
    if op.op_type == "constexpr_cast":  # has no decompress of its own
        return (operands["source_val"].astype(np.float32),)
    for name in signature(op.decompress).parameters:
        operands.setdefault(name, None)
    with np.errstate(over="ignore"):
        found = op.decompress(**operands)
    return found if isinstance(found, tuple) else (found,)


def _value(var: Any) -> Any:
    if var.op is None or not var.op.op_type.startswith("constexpr_"):
        return var.val
    number = next(n for n, result in enumerate(var.op.outputs) if result is var)
    return evaluated(var.op)[number]
