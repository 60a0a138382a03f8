"""coremltools' PyMIL, imported when a program is first read or printed."""

from __future__ import annotations

from typing import Any


def mil() -> Any:
    """The package of `Builder`, `Function`, `Program` and `types`, with all operations registered."""
    from coremltools.converters.mil import mil as package

    return package


def target(opset: str) -> Any:
    """The deployment target of an opset's name; None where this coremltools has none."""
    import coremltools

    return getattr(coremltools.target, opset, None)
