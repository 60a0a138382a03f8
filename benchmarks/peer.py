"""coremltools, loaded quietly, and its palettization as users and its own pipeline call it."""

from __future__ import annotations

import logging
import os
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


def _pass() -> Any:
    coremltools()
    from coremltools.optimize.coreml._quantization_passes import palettize_weights

    return palettize_weights


def solver() -> str:
    """Which k-means it uses for large fp16 weights: kmeans1d is exact, the fallback is not."""
    coremltools()
    from coremltools.models.neural_network import quantization_utils

    return "kmeans1d" if quantization_utils._HAS_KMEANS1D else "scikit-learn, one start, not exact"
