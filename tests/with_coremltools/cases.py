"""One table of programs that both homes are tried with, inside a conversion and after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Function, Program, types

RELEASES = (ct.target.iOS16, ct.target.iOS17, ct.target.iOS18)


def values(*shape: int) -> np.ndarray:
    """Weights that differ from call to call, the same in each run."""
    values.seed += 1  # type: ignore[attr-defined]
    return np.random.default_rng(values.seed).standard_normal(shape).astype(np.float32)  # type: ignore[attr-defined]


def named(name: str, *shape: int) -> Any:
    """A constant under a name that does not depend on how many others were made before."""
    return mb.const(val=values(*shape), name=name)


def program(body: Callable[..., Any], *shapes: tuple[int, ...], release: Any) -> Any:
    """A program of one function with inputs x, y, ... of fp32."""
    values.seed = 0  # type: ignore[attr-defined]
    specs = [mb.TensorSpec(shape=shape, dtype=types.fp32) for shape in shapes]
    return mb.program(input_specs=specs, opset_version=release)(body)


def convolution(release: Any) -> Any:
    def body(x: Any) -> Any:
        return mb.conv(x=x, weight=named("out_weight", 16, 4, 3, 3), bias=named("out_bias", 16), name="out")

    return program(body, (1, 4, 8, 8), release=release)


def transposed_convolution(release: Any) -> Any:
    def body(x: Any) -> Any:
        return mb.conv_transpose(x=x, weight=named("out_weight", 4, 16, 3, 3), name="out")

    return program(body, (1, 4, 8, 8), release=release)


def linear(release: Any) -> Any:
    def body(x: Any) -> Any:
        weight, bias = named("hidden_weight", 32, 16), named("hidden_bias", 32)
        hidden = mb.relu(x=mb.linear(x=x, weight=weight, bias=bias, name="hidden"))
        return mb.linear(x=hidden, weight=named("out_weight", 8, 32), name="out")

    return program(body, (1, 16), release=release)


def attention(release: Any) -> Any:
    def body(x: Any) -> Any:
        query, key, value = (
            mb.linear(x=x, weight=named(f"{name}_weight", 16, 16), name=name) for name in "qkv"
        )
        scores = mb.softmax(x=mb.matmul(x=query, y=key, transpose_y=True), axis=-1)
        return mb.linear(x=mb.matmul(x=scores, y=value), weight=named("out_weight", 16, 16), name="out")

    return program(body, (1, 6, 16), release=release)


def recurrent(release: Any) -> Any:
    def body(x: Any) -> Any:
        state = np.zeros((1, 8), np.float32)
        return mb.lstm(
            x=x,
            initial_h=state,
            initial_c=state,
            weight_ih=named("weight_ih", 32, 16),
            weight_hh=named("weight_hh", 32, 8),
            bias=named("bias", 32),
            direction="forward",
            name="out",
        )[0]

    return program(body, (5, 1, 16), release=release)


def tied(release: Any) -> Any:
    """An embedding table that is the output projection, too."""

    def body(ids: Any) -> Any:
        table = named("table", 40, 16)
        rows = mb.gather(x=table, indices=mb.cast(x=ids, dtype="int32"), axis=0)
        return mb.matmul(x=rows, y=table, transpose_y=True, name="out")

    return program(body, (4,), release=release)


def branches(release: Any) -> Any:
    """Weights in the blocks of a cond, and one outside that a branch uses."""

    def body(x: Any) -> Any:
        outer = named("outer", 16, 16)
        positive = mb.greater(x=mb.reduce_sum(x=x, axes=[0, 1], keep_dims=False), y=0.0)
        return mb.cond(
            pred=positive,
            _true_fn=lambda: mb.matmul(x=x, y=outer, name="taken"),
            _false_fn=lambda: mb.matmul(x=x, y=named("inner", 16, 16), name="other"),
            name="out",
        )

    return program(body, (1, 16), release=release)


def loop(release: Any) -> Any:
    """A weight in the body of a while_loop."""

    def body(x: Any) -> Any:
        found = mb.while_loop(
            _cond=lambda i, a: mb.less(x=i, y=3.0),
            _body=lambda i, a: (mb.add(x=i, y=1.0), mb.matmul(x=a, y=named("inner", 16, 16), name="step")),
            loop_vars=(mb.reduce_max(x=x, axes=[0, 1], keep_dims=False), x),
            name="loop",
        )
        return mb.identity(x=found[1], name="out")

    return program(body, (1, 16), release=release)


def two_functions(release: Any) -> Any:
    """Two functions with a weight of equal values, and one each of their own."""
    shared = np.random.default_rng(99).standard_normal((16, 16)).astype(np.float32)
    made = Program()
    for name in ("main", "other"):
        spec = mb.placeholder(shape=(1, 16), dtype=types.fp32)
        with Function({"x": spec}, opset_version=release) as function:
            weight = mb.const(val=shared, name="shared")
            hidden = mb.linear(x=function.inputs["x"], weight=weight, name="first")
            own = np.random.default_rng(len(name)).standard_normal((8, 16)).astype(np.float32)
            function.set_outputs([mb.linear(x=hidden, weight=mb.const(val=own, name="own"), name="out")])
        made.add_function(name, function)
    made.default_function_name = "main"
    made.export_as_multifunction = True
    return made


def barred(release: Any) -> Any:
    """A prelu's alpha, a vector, a constant that is a result: none may be compressed."""

    def body(x: Any) -> Any:
        slope = mb.prelu(x=x, alpha=named("alpha", 16), name="slope")
        scaled = mb.mul(x=slope, y=named("factor", 1, 16, 1, 1), name="scaled")
        return scaled, named("result", 4, 4)

    return program(body, (1, 16, 3, 3), release=release)


def compressed_already(release: Any) -> Any:
    """A weight that is stored as a look-up table, beside a dense one."""
    late = release >= ct.target.iOS18

    def body(x: Any) -> Any:
        indices = np.random.default_rng(3).integers(0, 16, (16, 16))
        entries = values(16)
        if late:
            made = mb.constexpr_lut_to_dense(
                indices=indices.astype(types.np_uint4_dtype),
                lut=entries.reshape(1, 1, 16, 1),
                name="palettized",
            )
        else:
            flat = indices.reshape(-1, 2)
            packed = (flat[:, 0] | flat[:, 1] << 4).astype(np.uint8)
            shape = np.array([16, 16], np.uint32)
            made = mb.constexpr_lut_to_dense(indices=packed, lut=entries, shape=shape, name="palettized")
        return mb.linear(
            x=mb.linear(x=x, weight=made, name="first"), weight=named("out_weight", 16, 16), name="out"
        )

    return program(body, (1, 16), release=release)


def flexible(release: Any) -> Any:
    from coremltools.converters.mil.mil import get_new_symbol

    def body(x: Any) -> Any:
        return mb.linear(x=x, weight=named("out_weight", 32, 16), name="out")

    return program(body, (get_new_symbol(), 16), release=release)


def stateful(release: Any) -> Any:
    """A weight between the reading of a state and its writing."""

    def body(x: Any, state: Any) -> Any:
        held = mb.cast(x=mb.read_state(input=state), dtype="fp32")
        made = mb.linear(x=mb.add(x=x, y=held), weight=named("weight", 16, 16), name="made")
        mb.coreml_update_state(state=state, value=mb.cast(x=made, dtype="fp16"))
        return mb.identity(x=made, name="out")

    values.seed = 0  # type: ignore[attr-defined]
    specs = [
        mb.TensorSpec(shape=(1, 16), dtype=types.fp32),
        mb.StateTensorSpec(shape=(1, 16), dtype=types.fp16),
    ]
    return mb.program(input_specs=specs, opset_version=release)(body)


def cached(release: Any) -> Any:
    """An attention whose keys pass through a state."""

    def body(x: Any, state: Any) -> Any:
        query, key, value = (
            mb.matmul(x=x, y=mb.cast(x=named(f"{name}_weight", 16, 16), dtype="fp16"), name=name)
            for name in "qkv"
        )
        kept = mb.coreml_update_state(state=state, value=key)
        scores = mb.softmax(x=mb.matmul(x=query, y=kept, transpose_y=True), axis=-1)
        last = mb.cast(x=named("o_weight", 16, 16), dtype="fp16")
        return mb.matmul(x=mb.matmul(x=scores, y=value), y=last, name="out")

    values.seed = 0  # type: ignore[attr-defined]
    specs = [
        mb.TensorSpec(shape=(1, 6, 16), dtype=types.fp16),
        mb.StateTensorSpec(shape=(1, 6, 16), dtype=types.fp16),
    ]
    return mb.program(input_specs=specs, opset_version=release)(body)


def empty(release: Any) -> Any:
    """No constant at all."""
    return program(lambda x: mb.identity(x=x, name="out"), (1, 16), release=release)


CASES: dict[str, Callable[[Any], Any]] = {
    case.__name__: case
    for case in (
        convolution,
        transposed_convolution,
        linear,
        attention,
        recurrent,
        tied,
        branches,
        loop,
        barred,
        compressed_already,
        flexible,
        stateful,
        cached,
        empty,
    )
}
SINCE = {"stateful": ct.target.iOS18, "cached": ct.target.iOS18}
