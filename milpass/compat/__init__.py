"""coremltools.optimize.coreml with one changed import: the same calls and configs, carried out by passes.

`palettize_weights`, `linear_quantize_weights`, `prune_weights`, `decompress_weights` and
`get_weights_metadata` have coremltools' signatures, defaults and errors.  `to_pipeline(config)` gives the
passes that a config stands for; `patch()` puts all of these in coremltools' place.  What differs stands in
docs/compat.md.

So has `quantize_weights`, for neural networks, of `coremltools.models.neural_network.quantization_utils`;
coremltools' selectors of layers are here beside it, and `layer_selector` makes one a selector of passes.
"""

from milpass.compat.functions import (
    decompress_weights,
    linear_quantize_weights,
    palettize_weights,
    prune_weights,
)
from milpass.compat.layers import (
    AdvancedQuantizedLayerSelector,
    MatrixMultiplyLayerSelector,
    QuantizedLayerSelector,
    layer_selector,
)
from milpass.compat.metadata import get_weights_metadata
from milpass.compat.networks import quantization_pipeline, quantize_weights
from milpass.compat.patching import patch
from milpass.compat.translation import to_pipeline

__all__ = [
    "AdvancedQuantizedLayerSelector",
    "MatrixMultiplyLayerSelector",
    "QuantizedLayerSelector",
    "decompress_weights",
    "get_weights_metadata",
    "layer_selector",
    "linear_quantize_weights",
    "palettize_weights",
    "patch",
    "prune_weights",
    "quantization_pipeline",
    "quantize_weights",
    "to_pipeline",
]
