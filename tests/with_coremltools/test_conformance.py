"""coremltools' own tests of `quantize_weights` that run without Core ML, ours in its place."""

from __future__ import annotations

import sys

import pytest

from tests.conformance.comparison import BOTH, compare
from tests.conformance.exceptions import known_exceptions
from tests.conformance.running import run
from tests.conformance.texts import differences

SAMPLE = ["test_quantization.py::TestQuantizeWeightsAPI::*", "test_model_updatable.py::*fp16*"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Core ML predicts, and the tests look")
def test_those_that_call_it_pass_with_either() -> None:
    results = run(["theirs", "ours"], SAMPLE)
    found = compare(results["theirs"], results["ours"], known_exceptions(), whole=False)
    assert not found.unexplained, "\n".join(differences(found))
    assert found.counts(calling=True)[BOTH] >= 9
    assert not found.handed
