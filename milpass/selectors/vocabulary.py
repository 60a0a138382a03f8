"""The words of a pipeline's text that choose weights."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from milpass.on_demand import OnDemand

# File -> the words it defines.
_FILES = {
    "patterns": ("op_type", "layer_type", "op_name", "name", "matches", "module"),
    "sizes": ("size", "kernel_channels", "output_channels", "rank", "shape", "dtype"),
    "places": ("near", "first", "last", "depth_from_input", "depth_from_output", "role", "shared_by"),
    "uses": ("anything", "is_weight"),
}

# `@selector` adds a user's own.
SELECTORS: MutableMapping[str, Any] = OnDemand(
    __package__, {word: file for file, words in _FILES.items() for word in words}
)
