"""`--import`: a user's own modules, which are run only when they are named."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from milpass.errors import UsageError

if TYPE_CHECKING:
    from milpass.pipeline import Pipeline


def import_modules(modules: Sequence[str]) -> None:
    """Import modules, from the working folder too; raises `UsageError` where one fails."""
    if modules and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for module in modules:
        try:
            import_module(module)
        except Exception as error:
            raise UsageError(
                f"--import {module}",
                who="milpass",
                cannot="import it",
                got=f"{type(error).__name__}: {error}",
                needs="a module that can be imported from here",
            ) from error


def check_references(pipeline: Pipeline, modules: Sequence[str]) -> None:
    """Refuse functions of modules that nobody asked to import."""
    for reference in pipeline.references():
        module = reference.partition(":")[0]
        if module not in modules:
            raise UsageError(
                reference,
                who="milpass apply",
                cannot="run code that nobody asked for",
                got="a function of a module that is not imported",
                needs=f"--import {module}",
            )
