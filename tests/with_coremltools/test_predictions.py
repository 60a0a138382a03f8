"""Core ML's own predictions: the compressed example against the same model with decoded weights, dense."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import coremltools as ct
import numpy as np
import pytest

from milpass import apply, fit_lut, read_weights, replace_const_with_lut, select_weights
from tests.packages import operations_of
from tests.with_coremltools.conftest import ROOT

EXAMPLE = ROOT / "examples" / "digits.mlpackage"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
IMAGES = 50

pytestmark = [
    pytest.mark.macos,
    pytest.mark.skipif(sys.platform != "darwin", reason="Core ML predicts on macOS only"),
]


def stored_dense(weights: dict[str, np.ndarray], path: Path) -> Path:
    """A copy of the example with other values in its weight file."""
    shutil.copytree(EXAMPLE, path)
    with open(path / WEIGHTS, "r+b") as file:
        for name, array in weights.items():
            place = operations_of(EXAMPLE)[name].attributes["val"].blobFileValue
            file.seek(place.offset + 64)
            file.write(array.tobytes())
    return path


def predicted(package: Path) -> np.ndarray:
    model = ct.models.MLModel(str(package), compute_units=ct.ComputeUnit.CPU_ONLY)
    (feature,) = model.get_spec().description.input
    (output,) = model.get_spec().description.output
    images = np.load(ROOT / "examples" / "digits_test.npz")["images"][:IMAGES]
    return np.stack([model.predict({feature.name: image[None]})[output.name] for image in images])


@pytest.mark.parametrize("target", ["iOS16", "iOS18"])
@pytest.mark.parametrize("fit", [fit_lut(nbits=n) for n in (1, 4, 8)], ids=repr)
def test_predictions_are_those_of_the_decoded_weights(fit: fit_lut, target: str, tmp_path: Path) -> None:
    pipeline = select_weights(threshold=512) | fit | replace_const_with_lut()
    compressed, plan = apply(pipeline, EXAMPLE, tmp_path / "compressed.mlpackage", target=target)
    decoded = read_weights(compressed)
    dense = stored_dense(
        {row.weight.name: decoded[row.weight.name] for row in plan.replaced}, tmp_path / "dense.mlpackage"
    )
    np.testing.assert_allclose(predicted(compressed), predicted(dense), rtol=1e-2, atol=1e-2)
