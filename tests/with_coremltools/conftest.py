"""What the tests against coremltools share; importing it takes seconds, so these tests stand apart."""

from __future__ import annotations

import logging
import os
import shutil
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


@pytest.fixture
def decoded(tmp_path: Path) -> Callable[[Path], dict[str, Any]]:
    """Every constant of a package as coremltools itself loads and decodes it, from a copy."""

    def decode(package: Path) -> dict[str, Any]:
        copy = tmp_path / "copies" / package.name
        shutil.copytree(package, copy, dirs_exist_ok=True)
        model = ct.models.MLModel(str(copy), skip_model_load=True)
        spec = model.get_spec()
        program = load_program(spec, spec.specificationVersion, model.weights_dir)
        found: dict[str, Any] = {}
        for function in program.functions.values():
            _collect(function, found)
        return found

    return decode


def _collect(block: Any, found: dict[str, Any]) -> None:
    for op in block.operations:
        if op.op_type == "const":
            found[op.outputs[0].name] = op.outputs[0].val
        elif op.op_type.startswith("constexpr_"):
            found[op.outputs[0].name] = op.materialized_val_inference()
        for inner in op.blocks:
            _collect(inner, found)
