"""A user's own words: those of installed packages, and modules that `--import` names."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from milpass.errors import UsageError
from milpass.plugins import load_plugins

if TYPE_CHECKING:
    from milpass.pipeline import Pipeline


def import_modules(modules: Sequence[str]) -> None:
    """Load what installed packages bring, then import modules, from the working folder too.

    Raises `UsageError` where one fails.
    """
    load_plugins()
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
                needs="a module that can be imported from here, without `.py`",
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
