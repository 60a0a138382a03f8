"""Names in a config that no operation or constant of the model has."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any
from warnings import warn

from coremltools.optimize.coreml import OptimizationConfig

from milpass.errors import MilpassWarning


def tell_unknown(config: OptimizationConfig, spec: Any) -> None:
    """Warn of each name and type of a config that is not in the model, with those that come near."""
    if not config.op_name_configs and not config.op_type_configs:
        return
    known = list(_operations(spec))
    names = {name for _, names in known for name in names}
    _tell("name", config.op_name_configs, names)
    _tell("type", config.op_type_configs, {kind for kind, _ in known})


def _tell(what: str, given: dict[str, Any], known: set[str]) -> None:
    for text in given:
        if text not in known:
            near = get_close_matches(text, sorted(known), n=3)
            hint = f"; near it: {', '.join(near)}" if near else ""
            warn(
                f"OptimizationConfig: {text!r} is the {what} of no operation in the model{hint}.",
                MilpassWarning,
                stacklevel=5,
            )


def _operations(spec: Any) -> Iterator[tuple[str, set[str]]]:
    """The type of each operation of a model's message, and the names that a config may call it by."""
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            yield from _inside(block)


def _inside(block: Any) -> Iterator[tuple[str, set[str]]]:
    for operation in block.operations:
        given = operation.attributes["name"].immediateValue.tensor.strings.values
        yield operation.type, {*given, *(output.name for output in operation.outputs)}
        for inner in operation.blocks:
            yield from _inside(inner)
