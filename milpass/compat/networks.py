"""coremltools' `quantize_weights`, which stores all weights of a neural network in fewer bits."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any
from warnings import warn

import numpy as np
from coremltools.models import MLModel
from coremltools.models.neural_network import quantization_utils
from numpy.typing import NDArray

from milpass.compat.layers import in_networks, layer_selector
from milpass.compat.models import tell
from milpass.errors import MilpassWarning, NothingCompressed, UsageError
from milpass.passes import Pass
from milpass.passes.decompress import decompress
from milpass.passes.fit_affine import fit_affine
from milpass.passes.fit_cast import fit_cast
from milpass.passes.fit_lut import fit_lut
from milpass.passes.replace_const_with_affine import replace_const_with_affine
from milpass.passes.replace_const_with_cast import replace_const_with_cast
from milpass.passes.replace_const_with_lut import replace_const_with_lut
from milpass.passes.select_weights import select_weights
from milpass.pipeline import Pipeline, apply
from milpass.selectors import Selector, anything

HALF = 16
LutFunction = Callable[[int, NDArray[np.float64]], Any]

# mode -> from the number of bits, and a function for tables, to the fit and what stores it
_MODES: dict[str, Callable[[int, Any], tuple[Pass, Pass]]] = {
    "linear": lambda nbits, _: (fit_affine(nbits=nbits), replace_const_with_affine()),
    "linear_symmetric": lambda nbits, _: (
        fit_affine(mode="linear_symmetric", nbits=nbits),
        replace_const_with_affine(),
    ),
    "linear_lut": lambda nbits, _: (fit_lut(mode="uniform", nbits=nbits), replace_const_with_lut()),
    "kmeans_lut": lambda nbits, _: (fit_lut(nbits=nbits), replace_const_with_lut()),
    "kmeans": lambda nbits, _: (fit_lut(nbits=nbits), replace_const_with_lut()),
    "custom_lut": lambda nbits, function: (
        fit_lut(mode="custom", nbits=nbits, lut_function=_asking(function, nbits)),
        replace_const_with_lut(),
    ),
}
_BACK = "dequantization"


def quantize_weights(
    full_precision_model: Any,
    nbits: int | None,
    quantization_mode: str = "linear",
    sample_data: Any = None,
    **kwargs: Any,
) -> Any:
    """An `MLModel` with weights of 1 to 8 bits, or of 16, as coremltools' function of this name makes one.

    The model is an `MLModel`, its spec, or the path of one.  Modes are "linear", "linear_symmetric",
    "linear_lut", "kmeans_lut", "custom_lut" (with `lut_function(nbits, wp)`, which gives a table and an index
    for each element) and "dequantization"; 16 bits are fp16 in all but the last.  `selector` is one of
    coremltools' layer selectors, or one of milpass.  With `sample_data` the predictions of both models are
    compared where Core ML can predict; elsewhere a `MilpassWarning` says that they are not.  Raises what
    coremltools raises, and `UsageError` for a model that is no neural network.
    """
    _check_mode(quantization_mode)
    model = _opened(full_precision_model)
    if nbits == HALF and model._spec.isUpdatable:
        raise Exception("updatable models cannot get quantized to FP16.")
    _tell_unknown(kwargs)
    known = {name: value for name, value in kwargs.items() if name in _KNOWN}
    if model.weights_dir is not None:  # coremltools leaves ML Programs in a pipeline as they are
        chosen = known.get("selector")
        known["selector"] = in_networks if chosen is None else in_networks & _as_selector(chosen)
    quantized = _carried_out(quantization_pipeline(nbits, quantization_mode, **known), model)
    if sample_data:
        _compare(model, quantized, sample_data)
    return quantized


def quantization_pipeline(
    nbits: int | None,
    quantization_mode: str = "linear",
    *,
    selector: Any = None,
    lut_function: LutFunction | None = None,
) -> Pipeline:
    """The passes that arguments of `quantize_weights` stand for; raises what that raises for wrong ones."""
    _check_mode(quantization_mode)
    where = anything if selector is None else _as_selector(selector)
    if quantization_mode == _BACK:
        return Pipeline(decompress(where=where))
    bits = _checked(nbits, quantization_mode)
    passes = _half if bits == HALF else _MODES[quantization_mode]
    fit, store = passes(bits, lut_function)
    return select_weights(threshold=0, where=where) | fit | store


def _half(nbits: int, _: Any) -> tuple[Pass, Pass]:
    return fit_cast(), replace_const_with_cast()


_KNOWN = ("selector", "lut_function")


def _check_mode(mode: Any) -> None:
    if mode not in _MODES and mode != _BACK:
        names = ", ".join(name for name in (*_MODES, _BACK) if name != "kmeans")
        raise Exception(f"Invalid quantization mode. Quantization mode must be one of {names}")


def _checked(nbits: Any, mode: str) -> int:
    """The number of bits, where coremltools takes it in this mode."""
    if nbits is None:
        raise Exception('Missing argument "nbits"')
    if nbits not in (*range(1, 9), HALF):
        raise Exception("Only half precision (16-bit), 1 to 8-bit quantization is supported")
    if mode == "linear_symmetric" and nbits != 8:
        raise Exception("Symmetric quantization is only applicable for 8 bitlinear")
    return int(nbits)


def _opened(model: Any) -> Any:
    """The `MLModel`, made of a path or a spec where it is not one already; it must be a neural network."""
    if isinstance(model, str | os.PathLike):
        model = MLModel(os.fspath(model))
    elif not isinstance(model, MLModel):
        model = MLModel(model)
    kind = model._spec.WhichOneof("Type")
    if kind == "mlProgram":
        raise UsageError(
            "full_precision_model",
            who="quantize_weights",
            cannot="quantize it",
            got=f"a model of type {kind}",
            needs="a neural network",
            remedy="coremltools.optimize.coreml has the functions for ML Programs",
        )
    return model


def _as_selector(selector: Any) -> Selector:
    return selector if isinstance(selector, Selector) else layer_selector(selector)


def _tell_unknown(given: dict[str, Any]) -> None:
    for name in given:
        if name not in _KNOWN:
            text = f"quantize_weights: {name!r} is no argument; it takes {' and '.join(_KNOWN)}."
            warn(text, MilpassWarning, stacklevel=3)


def _asking(function: LutFunction | None, nbits: int) -> Callable[[NDArray[Any]], Any]:
    """The function as `fit_lut` calls one: of the weight alone."""
    if function is None:
        raise Exception("Custom lookup table quantization mode selected but no lookup table function passed")
    if not callable(function):
        raise Exception("Argument for Lookup Table passed in but is not callable")

    def lut_function(weight: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        # coremltools hands float64 over, and takes indices of any shape and type.
        try:
            table, indices = function(nbits, weight.astype(np.float64))
        except Exception as error:
            raise Exception(f"{error}\nCall to Lookup Table function failed") from error
        return np.asarray(table).reshape(-1), np.asarray(indices).astype(np.uint8).reshape(weight.shape)

    return lut_function


def _carried_out(pipeline: Pipeline, model: Any) -> Any:
    """The model after a pipeline, a copy of it where nothing changes; what was left is logged."""
    try:
        # Without weight files the result is made in memory, where nothing can be lost on the way.
        quantized, plan = apply(pipeline, model, verify=model.weights_dir is not None)
    except NothingCompressed as nothing:
        units, plan = model.compute_unit, nothing.plan
        quantized = MLModel(model._spec, weights_dir=model.weights_dir, compute_units=units)
    tell(plan, "barred")
    return quantized


def _compare(before: Any, after: Any, sample_data: Any) -> None:
    if sys.platform == "darwin":
        quantization_utils.compare_models(before, after, sample_data)
        return
    warn(
        "quantize_weights: sample_data is not used, since Core ML predicts on macOS alone.",
        MilpassWarning,
        stacklevel=3,
    )
