"""What the tests against coremltools share; importing it takes seconds, so these tests stand apart."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
            found[key] = op.materialized_val_inference() if _is_plain(op) else None
        for inner in op.blocks:
            _collect(function, inner, found)


def _is_plain(op: Any) -> bool:
    """Whether no operand is itself a compressed constant, which coremltools cannot evaluate."""
    operands = [var for var in op.inputs.values() if var is not None]
    return not any(var.op and var.op.op_type.startswith("constexpr_") for var in operands)
