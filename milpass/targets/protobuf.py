"""Core ML's protobuf definitions, loaded from the installed coremltools without importing it.

`import coremltools` takes a second or more, as it looks for other frameworks.  The generated modules only
import one another, relatively, so they load under a package name of milpass' own.  protobuf registers each
definition once, so messages pass freely to and from a coremltools imported before or after.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf.message import DecodeError

from milpass.errors import InstallationError, ModelError

_PACKAGE = "_milpass_coreml_proto"


@cache
def _definitions(module: str) -> Any:
    """One of the generated modules, such as `Model_pb2`."""
    if _PACKAGE not in sys.modules:
        package = ModuleType(_PACKAGE)
        package.__path__ = [str(_folder())]
        sys.modules[_PACKAGE] = package
    return import_module(f"{_PACKAGE}.{module}")


def _folder() -> Path:
    found = find_spec("coremltools")
    if found is None or not found.submodule_search_locations:
        raise InstallationError(
            "coremltools",
            who="milpass",
            cannot="read Core ML models",
            got="no such package",
            needs="its protobuf definitions",
            remedy="`pip install coremltools`",
        )
    return Path(found.submodule_search_locations[0]) / "proto"


def mil() -> Any:
    """The messages of ML Programs (`MIL_pb2`)."""
    return _definitions("MIL_pb2")


def parse_model(data: bytes, where: str) -> Any:
    """The `Model` message in a file's bytes; raises `ModelError` where they are none."""
    model = _definitions("Model_pb2").Model()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise ModelError(
            where,
            who="milpass",
            cannot="read the model",
            got=f"{len(data):,} bytes that are no Core ML model",
            needs="a whole, undamaged file",
        ) from None
    return model
