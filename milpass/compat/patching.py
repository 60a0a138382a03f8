"""Putting milpass' functions in coremltools' place, for code that one cannot edit."""

from __future__ import annotations

import sys
from types import ModuleType, TracebackType
from typing import Any

from attrs import define, field
from coremltools.models.neural_network import quantization_utils
from coremltools.optimize.coreml import _post_training_quantization as home

from milpass.compat import functions, metadata, networks

# coremltools' functions, by the module that has them -> what stands in their place
_OURS: dict[ModuleType, dict[str, Any]] = {
    home: {
        "palettize_weights": functions.palettize_weights,
        "linear_quantize_weights": functions.linear_quantize_weights,
        "prune_weights": functions.prune_weights,
        "decompress_weights": functions.decompress_weights,
        "get_weights_metadata": metadata.get_weights_metadata,
    },
    quantization_utils: {"quantize_weights": networks.quantize_weights},
}


@define
class Patch:
    """What stands in coremltools' place until it is restored; leaving `with` restores it."""

    _replaced: list[tuple[ModuleType, str, Any]] = field(factory=list)

    def restore(self) -> None:
        """Put back what stood there before."""
        while self._replaced:
            module, name, theirs = self._replaced.pop()
            setattr(module, name, theirs)

    def __enter__(self) -> Patch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def _replace(self, module: ModuleType, name: str, ours: Any) -> None:
        self._replaced.append((module, name, getattr(module, name)))
        setattr(module, name, ours)


def patch() -> Patch:
    """Replace coremltools' functions by milpass', in its modules and in all that imported them by name.

    `with patch(): ...` restores them at its end; called alone, `patch().restore()` does.  Classes, configs
    and graph passes of coremltools stay its own.
    """
    done = Patch()
    ours = {
        id(getattr(module, name)): replacement
        for module, replacements in _OURS.items()
        for name, replacement in replacements.items()
    }
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items() if isinstance(module, ModuleType) else ()):
            if id(value) in ours and value is not ours[id(value)]:
                done._replace(module, name, ours[id(value)])
    return done
