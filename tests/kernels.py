"""Kernels run both ways: compiled, and their files as plain Python."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import milpass
from milpass import kernels

FOLDER = Path(milpass.__file__).parent / "kernels"


def without_compiled(name: str) -> ModuleType:
    """A kernel's file as plain Python."""
    spec = spec_from_file_location(f"uncompiled_{name}", FOLDER / f"{name}.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def both_ways(*names: str) -> Any:
    """A fixture that runs `module.function` of the named kernels, once each way."""
    plain = {name: without_compiled(name) for name in names}

    def run_plain(name: str, *args: Any) -> None:
        """Handed memoryviews: numpy's own scalars overflow in shifts."""
        module, function = name.split(".")
        getattr(plain[module], function)(*(memoryview(a) if isinstance(a, np.ndarray) else a for a in args))

    def run_compiled(name: str, *args: Any) -> None:
        module, function = name.split(".")
        getattr(getattr(kernels, module), function)(*args)

    @pytest.fixture(scope="module", params=[run_compiled, run_plain])
    def run(request: pytest.FixtureRequest) -> Callable[..., None]:
        if request.param is run_compiled and not kernels.COMPILED:
            pytest.skip("the kernels are not compiled here: an installation without a compiler")
        found: Callable[..., None] = request.param
        return found

    return run
