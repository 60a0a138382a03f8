"""Small programs made with coremltools' builder, converted and saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types

SIDE = 16


def matrix(seed: int, dtype: type = np.float16) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((SIDE, SIDE)).astype(dtype)


def palettized() -> Any:
    indices = np.random.default_rng(1).integers(0, 256, SIDE * SIDE // 2).astype(np.uint8)
    shape = np.array([SIDE, SIDE], np.uint32)
    lut = np.linspace(-1, 1, 16).astype(np.float16)
    return mb.constexpr_lut_to_dense(indices=indices, lut=lut, shape=shape, name="palettized")


def quantized() -> Any:
    data = np.random.default_rng(2).integers(-128, 128, (SIDE, SIDE)).astype(np.int8)
    return mb.constexpr_affine_dequantize(
        quantized_data=data,
        zero_point=np.arange(SIDE, dtype=np.int8),
        scale=np.linspace(0.1, 2, SIDE).astype(np.float16),
        axis=0,
        name="quantized",
    )


def scaled() -> Any:
    data = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    return mb.constexpr_affine_dequantize(
        quantized_data=data, zero_point=np.uint8(128), scale=np.float16(0.02), axis=0, name="scaled"
    )


def pruned() -> Any:
    chosen = np.random.default_rng(4).random(SIDE * SIDE) < 0.3
    return mb.constexpr_sparse_to_dense(
        nonzero_data=matrix(5).reshape(-1)[chosen],
        mask=np.packbits(chosen, bitorder="little"),
        shape=np.array([SIDE, SIDE], np.uint32),
        name="pruned",
    )


def dense() -> Any:
    return mb.const(val=matrix(6), name="dense")


def chain(*weights: Callable[[], Any], release: Any = ct.target.iOS16) -> Any:
    """A program of matrix products, one for each weight."""

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, SIDE), dtype=types.fp16)], opset_version=release)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        for weight in weights:
            x = mb.matmul(x=x, y=weight())
        return x

    return program


def cast_weight(release: Any = ct.target.iOS16) -> Any:
    """A program of fp32 with a weight that is stored in fp16."""

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, SIDE), dtype=types.fp32)], opset_version=release)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        stored = mb.constexpr_cast(source_val=matrix(7), output_dtype="fp32", name="cast")
        return mb.matmul(x=mb.matmul(x=x, y=stored), y=mb.const(val=matrix(8, np.float32), name="dense"))

    return program


def converted(program: Any, release: Any = ct.target.iOS16) -> Any:
    """The program as an `MLModel`, otherwise as it is."""
    return ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=release,
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )


def saved(program: Any, path: Path, release: Any = ct.target.iOS16) -> Path:
    """The program as a package."""
    converted(program, release).save(str(path))
    return path
