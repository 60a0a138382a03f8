"""coremltools' configs: read from what people have, and asked which part of one a weight falls under."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import IO, Any, TypeAlias

from coremltools.optimize.coreml import (
    OpLinearQuantizerConfig,
    OpMagnitudePrunerConfig,
    OpPalettizerConfig,
    OpThresholdPrunerConfig,
    OptimizationConfig,
)

from milpass.weight import Weight

# An `OptimizationConfig`, a dict of its fields, or YAML: a path or an open file.
Config: TypeAlias = "OptimizationConfig | Mapping[str, Any] | str | os.PathLike[str] | IO[str]"

# Function -> the configs of operations that it takes.
TAKES: dict[str, tuple[type, ...]] = {
    "palettize_weights": (OpPalettizerConfig,),
    "linear_quantize_weights": (OpLinearQuantizerConfig,),
    "prune_weights": (OpMagnitudePrunerConfig, OpThresholdPrunerConfig),
}


def read_config(config: Config) -> OptimizationConfig:
    """The config itself, from a dict or from YAML where it is not one already.

    Raises what coremltools raises for a wrong one.
    """
    if isinstance(config, OptimizationConfig):
        return config
    if isinstance(config, Mapping):
        return OptimizationConfig.from_dict(deepcopy(dict(config)))  # coremltools takes keys out of it
    if isinstance(config, str | os.PathLike):
        return OptimizationConfig.from_yaml(os.fspath(config))
    if hasattr(config, "read"):
        return OptimizationConfig.from_yaml(config)
    raise ValueError(f"config must be of type OptimizationConfig. Got {type(config)}.")


def check_config(config: OptimizationConfig, function: str) -> None:
    """Refuse configs of operations that belong to another function, in coremltools' words."""
    for part in parts(config):
        if part is not None and not isinstance(part, TAKES[function]):
            names = ", ".join(kind.__name__ for kind in TAKES[function])
            raise ValueError(f"{function} only accept {names} type config. Got {type(part).__name__}.")


def parts(config: OptimizationConfig) -> Iterator[Any]:
    """The configs of operations in it, None where operations are to be left."""
    yield config.global_config
    yield from config.op_type_configs.values()
    yield from config.op_name_configs.values()


def part_for(config: OptimizationConfig, weight: Weight) -> Any:
    """The config of operations that a weight falls under: by its name, its reader's, their type, or global.

    Raises `ValueError`, in coremltools' words, where readers fall under different ones.
    """
    if weight.name in config.op_name_configs:
        return config.op_name_configs[weight.name]
    found = [
        (name, _for_operation(config, name, kind))
        for name, kind in dict.fromkeys((reader.op_name, reader.op_type) for reader in weight.readers)
    ]
    for name, part in found[1:]:
        first, other = found[0]
        if part != other:
            raise ValueError(
                f"compression config conflict detected between ops {first} and {name}. "
                f"{first} has config {other} while {name} has {part}."
            )
    return found[0][1] if found else None


def _for_operation(config: OptimizationConfig, name: str, kind: str) -> Any:
    if name in config.op_name_configs:
        return config.op_name_configs[name]
    return config.op_type_configs.get(kind, config.global_config)
