"""coremltools.optimize.coreml with one changed import: the same calls and configs, carried out by passes.

`palettize_weights`, `linear_quantize_weights`, `prune_weights`, `decompress_weights` and
`get_weights_metadata` have coremltools' signatures, defaults and errors.  `to_pipeline(config)` gives the
passes that a config stands for; `patch()` puts all of these in coremltools' place.  What differs stands in
docs/compat.md.
"""

from coremltools.models.neural_network.quantization_utils import quantize_weights

from milpass.compat.functions import (
    decompress_weights,
    linear_quantize_weights,
    palettize_weights,
    prune_weights,
)
from milpass.compat.metadata import get_weights_metadata
from milpass.compat.patching import patch
from milpass.compat.translation import to_pipeline

__all__ = [
    "decompress_weights",
    "get_weights_metadata",
    "linear_quantize_weights",
    "palettize_weights",
    "patch",
    "prune_weights",
    "quantize_weights",
    "to_pipeline",
]
