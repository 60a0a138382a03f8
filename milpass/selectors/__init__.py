"""Which weights: `from milpass.selectors import is_weight, op_type, name`; in texts they are bare words."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from milpass.selectors.language import Predicate, Selector, as_selector
from milpass.selectors.vocabulary import SELECTORS

if TYPE_CHECKING:
    from milpass.selectors.misses import unmatched
    from milpass.selectors.own import selector
    from milpass.selectors.patterns import layer_type, matches, module, name, op_name, op_type
    from milpass.selectors.places import (
        depth_from_input,
        depth_from_output,
        first,
        last,
        near,
        role,
        shared_by,
    )
    from milpass.selectors.sizes import dtype, kernel_channels, output_channels, rank, shape, size
    from milpass.selectors.uses import anything, is_weight

# What is no word -> its file.
_HOMES = {"selector": "own", "unmatched": "misses"}

__all__ = [
    "SELECTORS",
    "Predicate",
    "Selector",
    "anything",
    "as_selector",
    "depth_from_input",
    "depth_from_output",
    "dtype",
    "first",
    "is_weight",
    "kernel_channels",
    "last",
    "layer_type",
    "matches",
    "module",
    "name",
    "near",
    "op_name",
    "op_type",
    "output_channels",
    "rank",
    "role",
    "selector",
    "shape",
    "shared_by",
    "size",
    "unmatched",
]


def __getattr__(name: str) -> Any:
    if name in SELECTORS:
        return SELECTORS[name]
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
