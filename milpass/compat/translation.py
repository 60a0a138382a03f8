"""From a config of coremltools to the pipeline that it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from glob import escape
from typing import Any

from coremltools.optimize.coreml import (
    OpLinearQuantizerConfig,
    OpMagnitudePrunerConfig,
    OpPalettizerConfig,
    OpThresholdPrunerConfig,
    OptimizationConfig,
)

from milpass.compat.configs import Config, parts, read_config
from milpass.compat.fits import fits_of, needs_axis
from milpass.passes import Pass
from milpass.passes.deselect_weights import deselect_weights
from milpass.passes.replace_const_with_affine import replace_const_with_affine
from milpass.passes.replace_const_with_lut import replace_const_with_lut
from milpass.passes.replace_const_with_sparse import replace_const_with_sparse
from milpass.passes.select_weights import select_weights
from milpass.pipeline import Pipeline
from milpass.selectors import Selector, anything, is_weight, name, op_name, op_type

# coremltools keeps constants of fewer elements in the model file, where nothing compresses them.
LEAST = 10
# The axis of the output channels of a constant that no reader uses as its weight.
FIRST = 0

# Config of operations -> what stores its fits.
_STORES: dict[type, type[Pass]] = {
    OpPalettizerConfig: replace_const_with_lut,
    OpLinearQuantizerConfig: replace_const_with_affine,
    OpMagnitudePrunerConfig: replace_const_with_sparse,
    OpThresholdPrunerConfig: replace_const_with_sparse,
}


def to_pipeline(config: Config, joint_compression: bool = False) -> Pipeline:
    """The passes that a config stands for, those of narrower parts after those of wider ones.

    `config` is an `OptimizationConfig`, a dict of its fields, or YAML (a path or an open file).  With
    `joint_compression` fits go inside, or pruning around, what a model holds compressed already.
    Raises what coremltools raises for a wrong config, and `UsageError` for what milpass has no pass for.
    """
    read = read_config(config)
    steps: list[Pass] = []
    for where, part in _ordered(read):
        if where is not None and steps:
            steps.append(deselect_weights(where=where))  # from what the wider parts chose
        if part is not None:
            steps += _chosen(anything if where is None else where, part, joint_compression)
    return Pipeline(*steps, *_stores(read, joint_compression))


def _ordered(config: OptimizationConfig) -> Iterator[tuple[Selector | None, Any]]:
    """The parts of a config and what each is for, in rising precedence; None is for anything."""
    if config.global_config is not None:
        yield None, config.global_config
    for kind, part in config.op_type_configs.items():
        yield op_type(escape(kind)), part
    named = config.op_name_configs.items()
    if len(named) == 1:
        for given, part in named:
            yield op_name(escape(given)) | name(escape(given)), part
        return
    for given, part in named:
        yield op_name(escape(given)), part
    for given, part in named:
        yield name(escape(given)), part


def _chosen(where: Selector, part: Any, joint: bool) -> Iterator[Pass]:
    """Choose the weights that a part is for, and say how to fit them."""
    threshold = max(part.weight_threshold, LEAST - 1)
    where = _narrowed(where, part)
    if not needs_axis(part):
        yield select_weights(threshold=threshold, where=where)
        yield from fits_of(part, None, joint=joint)
        return
    for uses, axis in ((is_weight, None), (~is_weight, FIRST)):
        yield select_weights(threshold=threshold, where=uses if where is anything else where & uses)
        yield from fits_of(part, axis, joint=joint)


def _narrowed(where: Selector, part: Any) -> Selector:
    """Blocks and n:m are for the weights of convolutions and linears, unless these are named."""
    if not isinstance(part, OpMagnitudePrunerConfig) or not part._is_structural_pruning():
        return where
    if isinstance(where, name):
        return where
    channelled = op_type("conv") | op_type("linear")
    return channelled if where is anything else where & channelled


def _stores(config: OptimizationConfig, joint: bool) -> list[Pass]:
    """What stores the fits; in joint compression the outermost encoding may be any."""
    if joint:
        return [replace_const_with_lut(), replace_const_with_affine(), replace_const_with_sparse()]
    kinds = dict.fromkeys(_STORES[type(part)] for part in parts(config) if part is not None)
    return [kind() for kind in kinds]
