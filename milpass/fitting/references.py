"""Functions named in a pipeline's text, as `module:name`: found when the plan is carried out."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from milpass.errors import UsageError


def resolve(reference: Callable[..., Any] | str) -> Callable[..., Any]:
    """The function itself, or the one that `module:name` names; importing it runs its module.

    Raises `UsageError` where there is no such module, or no such function in it.
    """
    if not isinstance(reference, str):
        return reference
    module, _, name = reference.partition(":")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise _refused(reference, str(error), f"a module {module!r} that can be imported") from error
    if not callable(found):
        raise _refused(reference, repr(found), f"a function {name!r} in {module!r}")
    return found  # type: ignore[no-any-return]


def _refused(reference: str, got: str, needs: str) -> UsageError:
    return UsageError(reference, who="milpass", cannot="find the function", got=got, needs=needs)
