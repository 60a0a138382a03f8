"""Passes decide: one file a pass, which has the pass' name; PASSES lists them all."""

from __future__ import annotations

import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from milpass.errors import UsageError
from milpass.on_demand import Folder, OnDemand
from milpass.passes.base import Pass, choosing, described
from milpass.selectors import SELECTORS

if TYPE_CHECKING:
    from milpass.passes.decompress import decompress
    from milpass.passes.deselect_weights import deselect_weights
    from milpass.passes.fit_affine import fit_affine
    from milpass.passes.fit_cast import fit_cast
    from milpass.passes.fit_lut import fit_lut
    from milpass.passes.fold_batchnorm import fold_batchnorm
    from milpass.passes.prune_weights import prune_weights
    from milpass.passes.replace_const_with_affine import replace_const_with_affine
    from milpass.passes.replace_const_with_cast import replace_const_with_cast
    from milpass.passes.replace_const_with_lut import replace_const_with_lut
    from milpass.passes.replace_const_with_sparse import replace_const_with_sparse
    from milpass.passes.select_weights import select_weights

_FILES = [file.stem for file in sorted(Path(__file__).parent.glob("[!_]*.py")) if file.stem != "base"]
PASSES: MutableMapping[str, type[Pass]] = OnDemand(__name__, dict(zip(_FILES, _FILES, strict=True)))

sys.modules[__name__].__class__ = Folder

# Called with each new pass: by whom passes are registered elsewhere, too.
LISTENERS: list[Callable[[type[Pass]], object]] = []

Kind = TypeVar("Kind", bound=type[Pass])


def as_pass(kind: Kind) -> Kind:
    """Make a class of one's own a pass under its name, known to `parse` from then on.

    `@as_pass` above `class keep_ends(Pass)`, which declares its fields and `fold(plan)`, makes it a frozen
    attrs class.  Raises `UsageError` where it is no pass, or its name is taken.
    """
    if not (isinstance(kind, type) and issubclass(kind, Pass)):
        raise _refused(kind, f"a {type(kind).__name__} that is no class of passes", "a subclass of Pass")
    taken = PASSES.get(kind.__name__, SELECTORS.get(kind.__name__))
    if taken is not None and _origin(taken) != _origin(kind):
        raise _refused(kind, f"the name {kind.__name__!r}", "a name of its own")
    made = kind if "__attrs_attrs__" in vars(kind) else frozen(repr=False)(kind)
    PASSES[kind.__name__] = made
    for listener in LISTENERS:
        listener(made)
    return made


def _origin(kind: object) -> tuple[object, object]:
    """Where a class was defined: a module that is loaded again defines its own anew."""
    return getattr(kind, "__module__", None), getattr(kind, "__qualname__", None)


def _refused(kind: object, got: str, needs: str) -> UsageError:
    shown = getattr(kind, "__name__", repr(kind))
    return UsageError(shown, who="as_pass", cannot="make a pass of it", got=got, needs=needs)


__all__ = [
    "PASSES",
    "Pass",
    "as_pass",
    "choosing",
    "decompress",
    "described",
    "deselect_weights",
    "fit_affine",
    "fit_cast",
    "fit_lut",
    "fold_batchnorm",
    "prune_weights",
    "replace_const_with_affine",
    "replace_const_with_cast",
    "replace_const_with_lut",
    "replace_const_with_sparse",
    "select_weights",
]


def __getattr__(name: str) -> Any:
    if name not in PASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return PASSES[name]
