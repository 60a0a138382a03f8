"""What is coremltools': the files of tests, the functions, and the modules that hold them by name."""

from __future__ import annotations

# The longest first, so that two processes end at about the same time.
MODULES = (
    "coremltools.test.optimize.coreml.test_post_training_quantization",
    "coremltools.test.optimize.api.test_optimize_api",
    "coremltools.test.neural_network.test_nn_builder",
    "coremltools.test.ml_program.test_compression",
    "coremltools.test.neural_network.test_quantization",
    "coremltools.test.pipeline.test_model_updatable",
    "coremltools.test.pipeline.test_pipeline",
)
FUNCTIONS = (
    "palettize_weights",
    "linear_quantize_weights",
    "prune_weights",
    "decompress_weights",
    "get_weights_metadata",
    "quantize_weights",
)
# The second took the functions under names of its own when coremltools was imported.
HOLDERS = {
    "coremltools.optimize.coreml": "",
    "coremltools.models.ml_program.compression_utils": "_",
    "coremltools.models.neural_network.quantization_utils": "",
}
# What coremltools' functions that compress call to have it done, and nothing of ours does.
WORK = (
    ("coremltools.models.utils", "_apply_graph_pass"),
    ("coremltools.models.neural_network.quantization_utils", "_quantize_spec_weights"),
)


def file_of(module: str) -> str:
    """The name of a module's file, which starts the names of its tests."""
    return module.rpartition(".")[2] + ".py"
