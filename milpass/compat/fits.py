"""From a config of operations to the fits that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coremltools.optimize.coreml import (
    OpLinearQuantizerConfig,
    OpMagnitudePrunerConfig,
    OpPalettizerConfig,
    OpThresholdPrunerConfig,
)

from milpass.granularity import Granularity, PerBlock, PerChannel, PerGroupedChannel, PerTensor
from milpass.passes import Pass
from milpass.passes.fit_affine import fit_affine
from milpass.passes.fit_lut import fit_lut
from milpass.passes.prune_weights import prune_weights

# Which way channels run along the axes 0 and 1 of a convolution or a linear.
ALONG = ("output", "input")


def fits_of(part: Any, axis: int | None, *, joint: bool) -> list[Pass]:
    """The fits of a config, the groups of channels along `axis` where it is not told by readers."""
    return _FITS[type(part)](part, axis, joint)


def needs_axis(part: Any) -> bool:
    """Whether groups run along an axis that the readers of a weight have to tell."""
    if isinstance(part, OpMagnitudePrunerConfig | OpThresholdPrunerConfig):
        return False
    granularity = _granularity(part, None)
    return isinstance(granularity, PerChannel | PerGroupedChannel) and granularity.axis is None


def _granularity(part: Any, axis: int | None) -> Granularity:
    return _GRANULARITIES[part.granularity.name](part, axis)


def _grouped(part: OpPalettizerConfig, axis: int | None) -> Granularity:
    """All channels are one group where its size is 0."""
    if part.group_size == 0:
        return PerTensor()
    return PerGroupedChannel(part.group_size, axis if part.channel_axis is None else part.channel_axis)


def _blocks(part: OpLinearQuantizerConfig, axis: int | None) -> Granularity:
    """A length of 0 is the whole axis."""
    if part.block_size == 0:
        return PerChannel(axis)
    return PerBlock(part.block_size if isinstance(part.block_size, int) else tuple(part.block_size))


_GRANULARITIES: dict[str, Callable[[Any, int | None], Granularity]] = {
    "PER_TENSOR": lambda part, axis: PerTensor(),
    "PER_CHANNEL": lambda part, axis: PerChannel(axis),
    "PER_GROUPED_CHANNEL": _grouped,
    "PER_BLOCK": _blocks,
}


def _tables(part: OpPalettizerConfig, axis: int | None, joint: bool) -> list[Pass]:
    """A table; over what a model holds in sparse or quantized form, too, where that is asked for."""
    return [
        fit_lut(
            mode=part.mode.lower(),
            nbits=part.nbits,
            granularity=_granularity(part, axis),
            cluster_dim=part.cluster_dim,
            per_channel_scale=part.enable_per_channel_scale,
            lut_function=part.lut_function,
            inside=inside,
        )
        for inside in ((None, "sparse", "affine") if joint else (None,))
    ]


def _numbers(part: OpLinearQuantizerConfig, axis: int | None, joint: bool) -> list[Pass]:
    return [
        fit_affine(
            mode=part.mode.lower(),
            nbits=part.nbits,
            granularity=_granularity(part, axis),
            signed=part.signed,
            inside=inside,
        )
        for inside in ((None, "sparse", "lut") if joint else (None,))
        if inside != "lut" or part.granularity.name == "PER_TENSOR"
    ]


def _magnitudes(part: OpMagnitudePrunerConfig, axis: int | None, joint: bool) -> list[Pass]:
    along = None if part.dim is None else ALONG[part.dim]
    if part.n_m_ratio is not None:
        return _pruning(joint, n_m=tuple(part.n_m_ratio), along=along)
    return _pruning(joint, sparsity=part.target_sparsity, block_size=part.block_size, along=along)


def _threshold(part: OpThresholdPrunerConfig, axis: int | None, joint: bool) -> list[Pass]:
    return _pruning(joint, threshold=part.threshold, minimum_sparsity=part.minimum_sparsity_percentile)


def _pruning(joint: bool, **asked: Any) -> list[Pass]:
    """Pruning of plain weights, or else of what a model holds as tables or whole numbers."""
    if not joint:
        return [prune_weights(**asked)]
    return [prune_weights(**asked, around=around) for around in ("lut", "affine")]


_FITS: dict[type, Callable[[Any, int | None, bool], list[Pass]]] = {
    OpPalettizerConfig: _tables,
    OpLinearQuantizerConfig: _numbers,
    OpMagnitudePrunerConfig: _magnitudes,
    OpThresholdPrunerConfig: _threshold,
}
