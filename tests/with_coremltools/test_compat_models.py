"""The same config through both on trained models: the same weights compressed, none with a greater error."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milpass import compat
from tests.with_coremltools.conftest import MODELS, ROOT, ct, evaluated
from tests.with_coremltools.test_compat import NEEDS_SKLEARN, ORIGINALS, theirs

DIGITS = ROOT / "examples" / "digits.mlpackage"
FURTHER = sorted((MODELS / "mlprogram").glob("*.mlpackage"))

CONFIGS: dict[str, tuple[str, Any]] = {
    "4 bits": ("palettize_weights", theirs.OpPalettizerConfig(nbits=4)),
    "8 bits": ("palettize_weights", theirs.OpPalettizerConfig(nbits=8, weight_threshold=500)),
    "uniform": ("palettize_weights", theirs.OpPalettizerConfig(nbits=6, mode="uniform")),
    "int8": ("linear_quantize_weights", theirs.OpLinearQuantizerConfig()),
    "uint8 linear": (
        "linear_quantize_weights",
        theirs.OpLinearQuantizerConfig(mode="linear", dtype="uint8", granularity="per_tensor"),
    ),
    "half": ("prune_weights", theirs.OpMagnitudePrunerConfig(target_sparsity=0.5)),
    "small": (
        "prune_weights",
        theirs.OpThresholdPrunerConfig(threshold=0.01, minimum_sparsity_percentile=0.1),
    ),
}
# A table of equal steps has nothing to search for: it may round to either side of theirs.
NOISE = 1e-5


def cases() -> Iterator[Any]:
    """Every config on the example, and on one of the further models in turn: theirs takes long."""
    for number, config in enumerate(CONFIGS):
        further = FURTHER[(number + 1) % len(FURTHER)] if FURTHER else DIGITS
        for package in dict.fromkeys((DIGITS, further)):
            marks = [NEEDS_SKLEARN] if "bits" in config else []
            yield pytest.param(package, config, marks=marks, id=f"{config}-{package.stem}")


@pytest.mark.parametrize(("package", "config"), list(cases()))
def test_no_weight_is_worse_than_theirs(package: Path, config: str, tmp_path: Path) -> None:
    model, (function, part) = loaded(package, tmp_path), CONFIGS[config]
    asked = theirs.OptimizationConfig(part)
    before = seen(model)
    ours, original = (seen(call(model, asked)) for call in (getattr(compat, function), ORIGINALS[function]))
    changed = {name for name, (kind, _) in original.items() if kind != "const"}
    assert {name for name, (kind, _) in ours.items() if kind != "const"} == changed
    for name in changed:
        mine, others = (error(before[name][1], found[name][1]) for found in (ours, original))
        assert mine <= others * (1 + NOISE), name


def loaded(package: Path, folder: Path) -> Any:
    """From a copy, since coremltools writes the manifest of what it opens."""
    shutil.copytree(package, folder / package.name)
    return ct.models.MLModel(str(folder / package.name), skip_model_load=True)


def seen(model: Any) -> dict[tuple[str, str], tuple[str, np.ndarray]]:
    """(operation, input) -> the operation that stores it, and the values that are seen."""
    spec = model.get_spec()
    program = compat.models.load(
        model_spec=spec, specification_version=spec.specificationVersion, file_weights_dir=model.weights_dir
    )
    found: dict[tuple[str, str], tuple[str, np.ndarray]] = {}
    for function in program.functions.values():
        _gather(function, found)
    return found


def _gather(block: Any, found: dict[tuple[str, str], tuple[str, np.ndarray]]) -> None:
    for op in block.operations:
        for inner in op.blocks:
            _gather(inner, found)
        for name, var in op.inputs.items():
            stores = getattr(var, "op", None)
            if stores is None or op.op_type.startswith("constexpr_"):
                continue
            values = var.val if stores.op_type == "const" else None
            if stores.op_type.startswith("constexpr_"):
                values = evaluated(stores)[0]
            if isinstance(values, np.ndarray) and values.dtype.kind == "f":
                found[op.name, name] = stores.op_type, values


def error(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.square(before.astype(np.float64) - after.astype(np.float64)).sum())
