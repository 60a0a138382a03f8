"""coremltools, loaded quietly, and its palettization as users and its own pipeline call it."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import time
import warnings
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray


@cache
def coremltools() -> ModuleType:
    """The module; what it says at its import and its progress bars are left out."""
    os.environ["TQDM_DISABLE"] = "1"  # a bar costs time, and its own processes inherit this
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import coremltools as module
        import coremltools.optimize.coreml
    logging.disable(logging.NOTSET)
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    return module  # type: ignore[no-any-return]


def configuration(nbits: int) -> Any:
    """k-means per tensor, as our default."""
    cto = coremltools().optimize.coreml
    return cto.OptimizationConfig(cto.OpPalettizerConfig(mode="kmeans", nbits=nbits))


def palettize_model(model: Any, nbits: int) -> Any:
    """`palettize_weights` on a loaded model: to PyMIL, the pass, and back."""
    return coremltools().optimize.coreml.palettize_weights(model, configuration(nbits))


def palettize_program(program: Any, nbits: int) -> None:
    """The pass `compression::palettize_weights` alone, on a PyMIL program: fits, packs, puts in place."""
    _pass()(configuration(nbits)).apply(program)


def fit(weight: NDArray[np.float16], nbits: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """The table and the flat indices that its pass computes for a weight."""
    found = _pass().blockwise_compress(weight, "KMEANS", nbits, [0] * weight.ndim)
    return found.lut.reshape(-1), found.indices.astype(np.uint8).reshape(-1)


def lut(nbits: int, **options: Any) -> Any:
    """A configuration of k-means tables."""
    cto = coremltools().optimize.coreml
    return cto.OptimizationConfig(cto.OpPalettizerConfig(mode="kmeans", nbits=nbits, **options))


def affine(dtype: str, granularity: str, mode: str = "linear") -> Any:
    """A configuration of whole numbers."""
    cto = coremltools().optimize.coreml
    return cto.OptimizationConfig(
        cto.OpLinearQuantizerConfig(mode=mode, dtype=dtype, granularity=granularity)
    )


def pass_alone(weight: NDArray[Any], config: Any) -> float:
    """The seconds of its pass on a PyMIL program of one linear layer, made beforehand."""
    program = _linear(weight)
    start = time.perf_counter()
    _pass_for(config)(config).apply(program)
    return time.perf_counter() - start


def decoded(weight: NDArray[Any], config: Any) -> NDArray[Any]:
    """The weight as its pass leaves it, by its own decompression."""
    program = _linear(weight)
    _pass_for(config)(config).apply(program)
    (layer,) = program.functions["main"].find_ops(op_type="linear")
    found: NDArray[Any] = layer.weight.op.materialized_val_inference()
    return found


def _linear(weight: NDArray[Any]) -> Any:
    module = coremltools()
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    fp = types.fp16 if weight.dtype == np.float16 else types.fp32
    tensor = mb.TensorSpec(shape=(1, weight.shape[1]), dtype=fp)

    @mb.program(input_specs=[tensor], opset_version=module.target.iOS18)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        return mb.linear(x=x, weight=weight, name="y")

    return program


def _pass_for(config: Any) -> Any:
    coremltools()
    from coremltools.optimize.coreml import _quantization_passes as passes

    kind = type(config.global_config).__name__
    return {
        "OpPalettizerConfig": passes.palettize_weights,
        "OpLinearQuantizerConfig": passes.linear_quantize_weights,
    }[kind]


def _pass() -> Any:
    coremltools()
    from coremltools.optimize.coreml._quantization_passes import palettize_weights

    return palettize_weights


def quantize_network(model: Any, nbits: int, mode: str) -> Any:
    """`quantize_weights` on a loaded neural network; what it prints is left out."""
    coremltools()
    from coremltools.models.neural_network import quantization_utils

    with contextlib.redirect_stdout(io.StringIO()):
        return quantization_utils.quantize_weights(model, nbits, mode)


def scikit_learn_table(weight: NDArray[np.float32], nbits: int) -> NDArray[np.float32]:
    """The weight by the table that scikit-learn finds with the settings of `kmeans_lut`."""
    coremltools()
    from coremltools.models.neural_network import quantization_utils

    table, indices = quantization_utils._get_kmeans_lookup_table_and_weight(nbits, weight)
    seen: NDArray[np.float32] = table.reshape(-1)[indices].astype(np.float32).reshape(weight.shape)
    return seen


def solver() -> str:
    """Which k-means it uses for large fp16 weights: kmeans1d is exact, the fallback is not."""
    coremltools()
    from coremltools.models.neural_network import quantization_utils

    return "kmeans1d" if quantization_utils._HAS_KMEANS1D else "scikit-learn, one start, not exact"
