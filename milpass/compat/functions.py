"""coremltools' functions, by their own names and signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from warnings import warn

from coremltools.optimize import coreml

from milpass.compat.configs import TAKES, Config, check_config, read_config
from milpass.compat.models import carried_out
from milpass.compat.names import tell_unknown
from milpass.compat.refusals import check_function, check_joint, check_weights
from milpass.compat.translation import to_pipeline
from milpass.errors import MilpassWarning, UsageError
from milpass.passes.decompress import decompress
from milpass.targets import open_target

# For configs that milpass has no pass for: taken before anything stands in coremltools' place.
_THEIRS: dict[str, Callable[..., Any]] = {name: getattr(coreml, name) for name in TAKES}


def palettize_weights(mlmodel: Any, config: Config, joint_compression: bool = False) -> Any:
    """An `MLModel` with look-up tables, as `coremltools.optimize.coreml.palettize_weights` makes one.

    Raises what that raises.
    """
    return _compressed(palettize_weights, mlmodel, config, joint_compression)


def linear_quantize_weights(mlmodel: Any, config: Config, joint_compression: bool = False) -> Any:
    """An `MLModel` with whole numbers, as `coremltools.optimize.coreml.linear_quantize_weights` makes one.

    Raises what that raises.
    """
    return _compressed(linear_quantize_weights, mlmodel, config, joint_compression)


def prune_weights(mlmodel: Any, config: Config, joint_compression: bool = False) -> Any:
    """An `MLModel` with sparse weights, as `coremltools.optimize.coreml.prune_weights` makes one.

    Raises what that raises.
    """
    return _compressed(prune_weights, mlmodel, config, joint_compression)


def decompress_weights(mlmodel: Any) -> Any:
    """An `MLModel` with plain weights, as `coremltools.optimize.coreml.decompress_weights` makes one.

    Raises what that raises.
    """
    check_function(mlmodel, decompress_weights)
    return carried_out(decompress(), mlmodel)


def _compressed(function: Callable[..., Any], mlmodel: Any, config: Config, joint: bool) -> Any:
    check_function(mlmodel, function)
    read = read_config(config)
    check_config(read, function.__name__)
    check_joint(joint)
    if read._is_deprecated or read._op_selector is not None:  # of coremltools.compression_utils
        return _THEIRS[function.__name__](mlmodel, read, joint)
    check_weights(open_target(mlmodel), read, joint=joint)
    tell_unknown(read, mlmodel.get_spec())
    try:
        pipeline = to_pipeline(read, joint)
    except UsageError as refusal:
        warn(f"{refusal} coremltools' own function is used.", MilpassWarning, stacklevel=3)
        return _THEIRS[function.__name__](mlmodel, read, joint)
    return carried_out(pipeline, mlmodel)
