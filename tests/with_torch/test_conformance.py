"""A sample of coremltools' own tests, ours in the place of its functions; `make conformance` runs all."""

from __future__ import annotations

import sys

import pytest

from tests.conformance.comparison import BOTH, compare
from tests.conformance.exceptions import known_exceptions
from tests.conformance.running import run
from tests.conformance.texts import differences

FILE = "test_post_training_quantization.py"
# One or two tests of each function and of each kind of table, without those that take seconds.
SAMPLE = [
    f"{FILE}::TestPalettizeWeights::test_vector_palettization[*unique*",
    f"{FILE}::TestPalettizeWeights::test_palettization_pcs*",
    f"{FILE}::TestLinearQuantizeWeights::test_per_tensor_quantization_with_blockwise_op*",
    f"{FILE}::TestPruneWeights::test_weight_pruning_percentile_based*",
    f"{FILE}::TestDecompressWeights::test_*",
    f"{FILE}::TestCoreMLWeightMetaData::test_get_weights_metadata_shared_weight",
]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Core ML predicts, and the tests look")
def test_a_sample_passes_with_either() -> None:
    results = run(["theirs", "ours"], SAMPLE)
    found = compare(results["theirs"], results["ours"], known_exceptions(), whole=False)
    assert not found.unexplained, "\n".join(differences(found))
    assert found.counts(calling=True)[BOTH] >= 10
