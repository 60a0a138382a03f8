"""Whole packages: what coremltools decodes from the result is what the plan states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milpass import apply, fit_lut, read_weights, replace_const_with_lut, select_weights
from milpass.plan import Replaced
from tests.packages import digest, masked, model_of
from tests.with_coremltools.conftest import MODELS, ROOT

EXAMPLE = ROOT / "examples" / "digits.mlpackage"
REAL = sorted((MODELS / "mlprogram").glob("*.mlpackage"))
NO_MODELS = pytest.mark.skip(reason="no folder of further models; MILPASS_MODELS may name one")


@pytest.mark.parametrize("mode", ["kmeans", "uniform"])
@pytest.mark.parametrize("nbits", [1, 2, 4, 6, 8])
@pytest.mark.parametrize(
    "source",
    [EXAMPLE, *(REAL or [pytest.param(Path("none"), marks=NO_MODELS)])],
    ids=lambda path: path.stem,
)
def test_decodes_to_what_the_plan_states(
    source: Path, nbits: int, mode: str, tmp_path: Path, decoded: Callable[[Path], dict[str, Any]]
) -> None:
    before = digest(source)
    pipeline = select_weights(threshold=512) | fit_lut(mode=mode, nbits=nbits) | replace_const_with_lut()
    out, plan = apply(pipeline, source, tmp_path / "out.mlpackage")
    originals, results = read_weights(source), decoded(out)
    assert plan.replaced
    for row in plan.replaced:
        check_result(row.entry, originals[row.weight.name], results[row.weight.name], nbits)
    names = [row.weight.name for row in plan.replaced]
    assert masked(model_of(out), names) == masked(expected_model(source, out), names)
    for name in set(originals) - set(names):
        np.testing.assert_array_equal(results[name], originals[name])
    assert digest(source) == before


def check_result(entry: Any, original: np.ndarray, result: np.ndarray, nbits: int) -> None:
    """The plan's figures, computed anew from coremltools' own decoding."""
    assert isinstance(entry, Replaced) and entry.result
    assert (result.shape, result.dtype) == (original.shape, original.dtype)
    assert len(set(result.reshape(-1).tolist())) <= 1 << nbits  # np.unique sorts fp16 wrongly in places
    errors = np.abs(result.astype(np.float64) - original.astype(np.float64))
    np.testing.assert_allclose(entry.result.squared_error, np.sum(errors**2), rtol=1e-9)
    assert entry.result.max_error == errors.max()
    signal = np.sum(np.square(original.astype(np.float64)))
    np.testing.assert_allclose(entry.result.snr, 10 * np.log10(signal / np.sum(errors**2)), rtol=1e-9)


def expected_model(source: Path, out: Path) -> Any:
    """The source's message, raised by hand where the result was raised."""
    model, result = model_of(source), model_of(out)
    if model.specificationVersion == result.specificationVersion:
        return model
    assert (model.specificationVersion, result.specificationVersion) == (6, 7)
    model.specificationVersion = 7
    for function in model.mlProgram.functions.values():
        assert function.opset == "CoreML5"
        function.block_specializations["CoreML6"].CopyFrom(function.block_specializations["CoreML5"])
        del function.block_specializations["CoreML5"]
        function.opset = "CoreML6"
    return model
