"""coremltools' selectors of layers: its own classes, and any of them as a selector of milpass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen
from coremltools.models.neural_network.quantization_utils import (
    AdvancedQuantizedLayerSelector,
    QuantizedLayerSelector,
)
from coremltools.models.neural_network.quantization_utils import (
    MatrixMultiplyLayerSelector as _MatrixMultiplyLayerSelector,
)

from milpass.errors import UsageError
from milpass.selectors import Selector
from milpass.selectors.language import Bare
from milpass.weight import Weight

# Layers whose bias coremltools asks about apart from the layer as a whole.
_ASKED_ABOUT_BIASES = frozenset({"convolution", "innerProduct", "batchedMatmul"})


class MatrixMultiplyLayerSelector(_MatrixMultiplyLayerSelector):  # type: ignore[misc]
    """coremltools' class, but that `include_layers_with_names` works: its own fails where names are given."""

    def __init__(
        self,
        minimum_weight_count: int = 1,
        minimum_input_channels: int = 1,
        minimum_output_channels: int = 1,
        maximum_input_channels: int | None = None,
        maximum_output_channels: int | None = None,
        include_layers_with_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            minimum_weight_count,
            minimum_input_channels,
            minimum_output_channels,
            maximum_input_channels,
            maximum_output_channels,
        )
        names = [] if include_layers_with_names is None else include_layers_with_names
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ValueError("Property 'include_layers_with_names' must be a list/tuple of str objects")
        self.include_layers_with_names = names


@frozen(eq=False, repr=False)
class _LayerSelector(Selector):
    """Asks an object of coremltools about the layers that hold a weight, in the order of the layers."""

    theirs: Any
    # Of the weight asked about last: a selector that counts layers hears of each once, as from coremltools.
    _heard: dict[tuple[int, str | None], tuple[Any, bool]] = field(factory=dict, init=False)

    def holds(self, weight: Weight) -> bool:
        if not weight.layers:
            raise UsageError(
                weight.name,
                who=repr(self),
                cannot="choose it",
                got="a weight that no layer holds",
                needs="a neural network",
            )
        self._forget(weight.layers)
        if not all(self._answer(layer) for layer in weight.layers):
            return False
        layer = weight.layers[-1]
        is_bias = weight.name.rpartition("/")[2] == "bias"
        if is_bias and layer.WhichOneof("layer") in _ASKED_ABOUT_BIASES:
            return self._answer(layer, "bias")
        return True

    def _forget(self, layers: tuple[Any, ...]) -> None:
        """Keep what was said of these layers alone."""
        kept = set(map(id, layers))
        for key in [key for key in self._heard if key[0] not in kept]:
            del self._heard[key]

    def _answer(self, layer: Any, field: str | None = None) -> bool:
        key = (id(layer), field)
        if key not in self._heard:
            named = {} if field is None else {"weight_param": field}
            self._heard[key] = layer, bool(self.theirs.do_quantize(layer, **named))
        return self._heard[key][1]

    def __repr__(self) -> str:
        return f"<layers by {type(self.theirs).__name__}>"


class _in_networks(Bare):
    """Weights of neural networks, as apart from those of ML Programs beside them in a pipeline."""

    def holds(self, weight: Weight) -> bool:
        """Whether some layer holds it."""
        return bool(weight.layers)


in_networks = _in_networks()


def layer_selector(selector: Any) -> Selector:
    """A selector of milpass that chooses what a selector of coremltools does, for any pass.

    `selector` is a `QuantizedLayerSelector`, or anything with its `do_quantize(layer, weight_param=None)`,
    which gets the protobuf message of a layer, and "bias" for the bias of a convolution, an innerProduct or
    a batchedMatmul.  It is asked about the layers around, too, of which each must be chosen.  Raises
    `UsageError` for an object without the method, and when asked about a weight of an ML Program.
    """
    if not callable(getattr(selector, "do_quantize", None)):
        raise UsageError(
            "selector",
            who="layer_selector",
            cannot="ask it about layers",
            got=repr(selector),
            needs="an object with do_quantize(layer, weight_param=None)",
        )
    return _LayerSelector(selector)


__all__ = [
    "AdvancedQuantizedLayerSelector",
    "MatrixMultiplyLayerSelector",
    "QuantizedLayerSelector",
    "layer_selector",
]
