"""What coremltools refuses before it compresses anything, in its words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from coremltools.optimize.coreml import OpLinearQuantizerConfig, OpPalettizerConfig, OptimizationConfig

from milpass.compat.configs import part_for
from milpass.compat.translation import LEAST
from milpass.links import found
from milpass.targets import Target
from milpass.weight import Weight

_RECONVERT = "Please re-convert your model with minimum_deployment_target set to at least ct.target.iOS18."
_TABLES = "The {} palettization is supported since iOS18. " + _RECONVERT
_NUMBERS = "The {} quantization is supported since iOS18. " + _RECONVERT

# (kind of config, what it asks for) -> the error of a release before iOS18
_NEEDS_IOS18: tuple[tuple[type, Callable[[Any], bool], str], ...] = (
    (
        OpPalettizerConfig,
        lambda part: part.granularity.name == "PER_GROUPED_CHANNEL",
        _TABLES.format("per_grouped_channel"),
    ),
    (OpPalettizerConfig, lambda part: part.cluster_dim > 1, _TABLES.format("vector")),
    (
        OpPalettizerConfig,
        lambda part: part.enable_per_channel_scale,
        "Palettization with per-channel-scale is only supported since iOS18. "
        "Please set minimum_deployment_target accordingly.",
    ),
    (
        OpLinearQuantizerConfig,
        lambda part: part.granularity.name == "PER_BLOCK",
        _NUMBERS.format("per_block"),
    ),
    (OpLinearQuantizerConfig, lambda part: part.nbits == 4, _NUMBERS.format("4-bit")),
)


def check_function(model: Any, function: Callable[..., Any]) -> None:
    """Refuse models of several functions, and those that are no ML Programs."""
    if model._is_multifunction():
        raise ValueError(f"{function} is not supported for a multifunction model.")
    kind = model.get_spec().WhichOneof("Type")
    if kind != "mlProgram":
        raise TypeError(
            f"coremltools.optimize.coreml are meant to be used only with mlprogram typed coreml models. "
            f"This model has type {kind}. Please use "
            "coremltools.models.neural_network.quantization_utils.quantize_weights "
            "instead to compress the weights of the model."
        )


def check_joint(joint: Any) -> None:
    """Refuse what is no yes or no."""
    if not isinstance(joint, bool):
        raise ValueError(f"joint_compression only supports bool, but got {type(joint)}")


def check_weights(target: Target, config: OptimizationConfig, *, joint: bool) -> None:
    """Refuse conflicts, and what the model's release cannot hold, as soon as one weight asks for it."""
    is_new = target.format not in ("iOS13", "iOS14", "iOS15", "iOS16", "iOS17")
    if joint and not is_new:
        raise ValueError("Joint compression is only supported since iOS18. " + _RECONVERT)
    for weight, part in _asked(target, config, joint=joint):
        _check_lengths(weight, part)
        if not is_new:
            _check_release(part)
        if isinstance(part, OpPalettizerConfig) and part.cluster_dim > 1 and part.mode == "UNIFORM":
            raise NotImplementedError("Vector palettization (cluster_dim > 1) doesn't support UNIFORM mode.")
        _check_tables(weight, part)


def _asked(target: Target, config: OptimizationConfig, *, joint: bool) -> Iterator[tuple[Weight, Any]]:
    """The weights that a config asks to compress, and the part of it that does."""
    for weight in target.weights():
        part = part_for(config, weight)
        if part is not None and part.weight_threshold is None:
            raise ValueError("weight_threshold cannot be None")
        if part is None or weight.rank < 2 or weight.size <= max(part.weight_threshold, LEAST - 1):
            continue
        if joint or not weight.encoded:
            yield weight, part


def _check_release(part: Any) -> None:
    for kind, asks, error in _NEEDS_IOS18:
        if isinstance(part, kind) and asks(part):
            raise ValueError(error)


def _check_lengths(weight: Weight, part: Any) -> None:
    """Refuse blocks of another rank."""
    lengths = part.block_size if isinstance(part, OpLinearQuantizerConfig) else 0
    if isinstance(lengths, int) or part.granularity.name != "PER_BLOCK" or len(lengths) == weight.rank:
        return
    raise ValueError(
        "The block_size in config must has one element for each axis. However, for op "
        f"{weight.name}, there are {len(lengths)} elements in block_size, "
        f"but there are {weight.rank} axes in the weight."
    )


def _check_tables(weight: Weight, part: Any) -> None:
    """Refuse any scales but one for the entries of a table."""
    chain = found(weight)
    if not chain or chain[-1].encoding != "lut" or not isinstance(part, OpLinearQuantizerConfig):
        return
    if part.granularity.name != "PER_TENSOR":
        raise NotImplementedError(
            "When use joint compression for palettization-quantization, please make "
            "sure to use per-tensor quantization, because the axis for the data to be"
            "quantized (palettization's lut) is different from the original weight."
        )
