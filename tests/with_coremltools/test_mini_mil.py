"""Mini-MIL: texts against programs made with coremltools' own builder, and against themselves."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types
from hypothesis import given
from hypothesis import strategies as st

from milpass.errors import UsageError
from milpass.testing import normalized, print_program, read_program
from milpass.testing.mini_mil.naming import RESERVED, meant_name, spelled_name
from tests.strategies import quick
from tests.with_coremltools.programs import SIDE, chain, converted, dense, palettized, pruned, quantized

# Those that this coremltools knows.
RELEASES = [each for each in ("iOS15", "iOS17", "iOS18", "iOS26") if hasattr(ct.target, each)]

LINEAR = """
    def main(x: fp16[1, 64]):
        w = const(fp16[32, 64])
        b = const(fp16[32], 0.5)  # filled
        y = linear(bias=b, weight=w, x=x)
        p = transpose(perm = [1, 0], x=y)
        q = mul(x=p, y=0.1)
        return p, q
"""

BLOCKS = """
@iOS18
def main(x: fp16[1, 64], go: bool[1]):
    start = const(int32, 0)
    p = squeeze(x=go, axes=[0])
    def taken():
        t = add(x=x, y=1.0)
        return t
    def other():
        return x
    z = cond(pred=p, _true_fn=taken, _false_fn=other)
    def test(v, i):
        c = less(x=i, y=5)
        return c
    def step(v, i):
        j = add(x=i, y=1)
        u = mul(x=v, y=z)
        return u, j
    a, b = while_loop(loop_vars=(z, start), _cond=test, _body=step)
    return a
"""


def values(text: str) -> dict[str, Any]:
    """The values of a text's main function by their names."""
    function = read_program(text).functions["main"]
    return {var.name: var for operation in function.operations for var in operation.outputs}


def test_importing_it_loads_no_coremltools() -> None:
    code = "import sys, milpass.testing; print('coremltools' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "False"


def test_names_types_and_values_are_those_of_the_text() -> None:
    found = values(LINEAR)
    assert {"w", "b", "y", "p", "q"} <= set(found)
    assert found["y"].shape == (1, 32) and found["p"].shape == (32, 1)
    assert {found[name].dtype for name in "wbypq"} == {types.fp16}
    assert found["y"].op.op_type == "linear" and found["y"].op.name == "y"
    assert found["p"].op.perm.val.tolist() == [1, 0]
    np.testing.assert_array_equal(found["b"].val, np.full(32, 0.5, np.float16))
    assert found["q"].op.y.dtype == types.fp16  # the type of the operand that it must agree with


def test_drawn_values_depend_on_name_and_type_only() -> None:
    first, second = values(LINEAR)["w"].val, values(LINEAR + "    # another line\n")["w"].val
    np.testing.assert_array_equal(first, second)
    other = values(LINEAR.replace("w =", "v =").replace("=w", "=v"))["v"].val
    assert not np.array_equal(first, other)
    assert first.dtype == np.float16 and 0.9 < first.std() < 1.1


def test_a_text_in_normal_form() -> None:
    expected = """@iOS16
def main(x: fp16[1, 64]):
    w = const(fp16[32, 64])
    b = const(fp16[32])
    y = linear(x=x, bias=b, weight=w)
    p = transpose(x=y, perm=[1, 0])
    q = mul(x=p, y=0.1)
    return p, q
"""
    assert print_program(read_program(LINEAR)) == normalized(LINEAR) == normalized(expected) == expected


def test_a_program_of_the_builder_prints() -> None:
    specs = [mb.TensorSpec(shape=(1, 4, 8, 8), dtype=types.fp16)]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS17)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        weight = mb.const(val=np.ones((4, 4, 1, 1), np.float16), name="weight")
        weight_2 = mb.const(val=np.ones((2, 4, 3, 3), np.float16), name="weight_2")
        y = mb.conv(x=x, weight=weight, strides=[2, 2], bias=np.float16([0.1, 0.25, 0.5, 1]), name="y")
        z = mb.conv(x=x, weight=weight_2, pad_type="same", name="z.1")
        return y, mb.relu(x=z, name="lambda")

    assert print_program(program) == normalized("""
        @iOS17
        def main(x: fp16[1, 4, 8, 8]):
            weight = const(fp16[4, 4, 1, 1])
            weight_2 = const(fp16[2, 4, 3, 3])
            y = conv(x=x, weight=weight, strides=[2, 2], bias=[0.1, 0.25, 0.5, 1.0])
            z_x2e_1 = conv(x=x, weight=weight_2, pad_type='same')
            _x6c_ambda = relu(x=z_x2e_1)
            return y, _x6c_ambda
    """)


def test_compressed_weights_print_as_types() -> None:
    printed = print_program(chain(palettized, quantized, pruned, dense))
    nonzero = pruned_elements(printed)
    half = SIDE * SIDE // 2
    operands = {
        "palettized = constexpr_lut_to_dense": f"indices=uint8[{half}], lut=fp16[16], shape=[16, 16]",
        "quantized = constexpr_affine_dequantize": "axis=0, quantized_data=int8[16, 16], scale=fp16[16], "
        "zero_point=int8[16]",
        "pruned = constexpr_sparse_to_dense": f"mask=uint8[32], nonzero_data=fp16[{nonzero}], shape=[16, 16]",
    }
    for call, expected in operands.items():
        assert f"    {call}({expected})\n" in printed
    assert "    dense = const(fp16[16, 16])\n" in printed
    assert normalized(printed) == printed


def pruned_elements(printed: str) -> int:
    return int(printed.partition("nonzero_data=fp16[")[2].partition("]")[0])


def test_weights_of_ios18() -> None:
    text = """
        @iOS18
        def main(x: fp16[n, 64], s: state(fp16[1, 64])):
            w = constexpr_lut_to_dense(indices=uint4[32, 64], lut=fp16[1, 1, 16, 1])
            data = const(int4[32, 64])
            scale = const(fp16[32, 1], 0.5)
            v = constexpr_blockwise_shift_scale(data=data, scale=scale)
            old = read_state(input=s)
            kept = coreml_update_state(state=s, value=old)
            y = linear(x=x, weight=w)
            z = linear(x=x, weight=v)
            return y, z
    """
    found = values(text)
    assert found["w_indices_0"].dtype == types.uint4 and found["w_indices_0"].val.max() == 15
    assert found["data"].dtype == types.int4 and found["data"].val.min() == -8
    assert found["w"].dtype == types.fp16 and found["w"].shape == (32, 64)
    inputs = read_program(text).functions["main"].inputs
    assert types.is_state(inputs["s"].sym_type) and not isinstance(inputs["x"].shape[0], int)
    printed = print_program(read_program(text))
    assert printed == normalized(text)
    assert "def main(x: fp16[n0, 64], s: state(fp16[1, 64])):" in printed
    assert "v = constexpr_blockwise_shift_scale(data=int4[32, 64], scale=fp16[32, 1])" in printed


def test_nested_blocks() -> None:
    program = read_program(BLOCKS)
    (loop,) = program.functions["main"].find_ops(op_type="while_loop")
    assert [block.name for block in loop.blocks] == ["test", "step"]
    assert [var.name for var in loop.blocks[0].inputs] == ["v", "i"]
    assert [var.name for var in loop.outputs] == ["a", "b"]
    assert loop.outputs[0].shape == (1, 64) and loop.outputs[1].dtype == types.int32
    printed = print_program(program)
    assert printed == normalized(BLOCKS) == print_program(read_program(printed))
    program.validate()


def test_a_read_program_converts() -> None:
    model = converted(read_program(LINEAR))
    assert {output.name for output in model.get_spec().description.output} == {"p", "q"}


def test_several_functions() -> None:
    text = "def f(x: fp16[n]):\n    y = relu(x=x)\n    return y\n"
    program = read_program(text + text.replace("def f", "def g"))
    assert list(program.functions) == ["f", "g"] and program.default_function_name == "f"
    assert print_program(program) == normalized(text + text.replace("def f", "def g"))
    assert read_program(text + text.replace("def f", "def main")).default_function_name == "main"


def test_constants_stand_in_their_one_reader() -> None:
    body = "def main(x: fp16[2]):\n  c = const(fp16[2], {})\n  y = add(x=x, y=c)\n  {}\n  return y, z\n"
    alone = normalized(body.format("[1, 2.5]", "z = relu(x=x)"))
    assert "c = " not in alone and "y = add(x=x, y=[1.0, 2.5])" in alone
    shared = normalized(body.format("3", "z = add(x=x, y=c)"))
    assert "c = const(fp16[2], [3.0, 3.0])" in shared and "y = add(x=x, y=c)" in shared
    for text in (alone, shared):
        assert print_program(read_program(text)) == text


@pytest.mark.parametrize(
    ("line", "number", "words"),
    [
        ("y = lineer(x=x)", 3, ["`lineer`", "Did you mean `linear`"]),
        ("y = relu(x=xs)", 3, ["`xs`", "Did you mean `x`"]),
        ("y = relu(z=x)", 3, ["`z`", "inputs of `relu`: x"]),
        ("y = relu()", 3, ["x is missing"]),
        ("y = relu(x)", 3, ["`input=value`"]),
        ("y = relu(x=", 3, ["Python syntax"]),
        ("y = x", 3, ["const(type)"]),
        ("y = const(fp61[3])", 3, ["`fp61[3]`"]),
        ("y = const(fp16[n])", 3, ["`fp16[n]`"]),
        ("y = const(uint4[2], [3, 16])", 3, ["uint4, which has 0 to 15"]),
        ("y = const(fp16[2], [3, 4, 5])", 3, ["shape [3] for fp16[2]"]),
        ("y = const(fp16[2], [True, 5])", 3, ["bool and int"]),
        ("y = mul(x=x, y=2)", 3, ["got 2, needs what fp16 holds, such as 2.0"]),
        ("y = mul(x=x, y=0.12345)", 3, ["such as 0.1235"]),
        ("y = mul(x=x, y=fp16[1])", 3, ["`constexpr_` operations", "const(type)"]),
        ("y = transpose(x=x, perm=[1, 7])", 3, ["perm"]),
        ("y = transpose(x=x, perm=(1, 0))", 3, ["a literal is a list"]),
        ("y = concat(values=x, axis=0)", 3, ["a tuple of values"]),
        ("y, z = relu(x=x)", 3, ["got 2 names, needs 1"]),
        ("x = relu(x=x)", 3, ["`x` again"]),
        ("inf = relu(x=x)", 3, ["`inf`, a word of the language"]),
        ("y = cond(pred=True, _true_fn=x, _false_fn=x)", 3, ["a nested `def`"]),
        ("y = constexpr_lut_to_dense(indices=uint8[8], lut=fp16[16], shape=[4, 4])", 3, ["iOS16"]),
    ],
)
def test_errors_name_the_line(line: str, number: int, words: list[str]) -> None:
    opset = "iOS15" if "constexpr" in line else "iOS16"
    text = f"@{opset}\ndef main(x: fp16[2, 3]):\n    {line}\n    return y\n"
    with pytest.raises(UsageError) as caught:
        read_program(text)
    message = str(caught.value)
    assert message.startswith(f"line {number}, `{line}`: mini-MIL cannot ")
    assert "\n" not in message
    for word in words:
        assert word in message
    assert read_program(LINEAR).functions["main"].inputs["x"].shape == (1, 64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1"),
        ("x = 3", "line 1, `x = 3`"),
        ("@iOS12\ndef main(x: fp16[1]):\n    return x", "line 1, `@iOS12`"),
        ("def main(x):\n    return x", "line 1, `def main(x):`"),
        ("def main(x: fp16[1]):\n    y = relu(x=x)", "line 2, `y = relu(x=x)`"),
        ("def main(x: fp16[1]):\n    return z", "`z`"),
        ("def main(x: fp16[1]):\n    def f():\n        return x\n    return x", "line 2, `def f():`"),
    ],
)
def test_errors_of_functions(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_program(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_blocks_of_one_loop_share_their_parameters() -> None:
    with pytest.raises(UsageError, match=r"test\(v, i\) and step\(w, i\)"):
        read_program(BLOCKS.replace("step(v, i)", "step(w, i)"))


@given(
    st.text(min_size=1)
    | st.sampled_from(sorted(RESERVED))
    | st.from_regex(r"_x[0-9a-f]{1,3}_", fullmatch=True)
)
def test_every_name_is_spelled_and_read_back(name: str) -> None:
    spelled = spelled_name(name)
    assert spelled.isidentifier() and spelled not in RESERVED and meant_name(spelled) == name


NUMBERS = st.floats(-100, 100, width=16).map(lambda value: float(str(np.float16(value))))
UNARY = ("relu", "tanh", "abs", "identity")
BINARY = ("add", "mul", "sub", "maximum")


@st.composite
def texts(draw: st.DrawFn, dtypes: tuple[str, ...] = ("fp16", "fp32")) -> str:
    """Texts of elementwise programs on one shape, with literals, constants, tuples and nested blocks."""
    columns = draw(st.integers(1, 12))
    kind = f"{draw(st.sampled_from(dtypes))}[2, {columns}]"
    names, lines = ["x", "k.1"], []
    for index in range(draw(st.integers(0, 6))):
        name = draw(st.sampled_from([f"v{index}", f"v.{index}", f"_x{index}_"]))
        lines += draw(statements(spelled_name(name), [spelled_name(n) for n in names], kind))
        names.append(name)
    outputs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    body = "".join(f"    {line}\n" for line in lines)
    opset = draw(st.sampled_from(["", *(f"@{release}\n" for release in RELEASES)]))
    inputs = ", ".join(f"{spelled_name(name)}: {kind}" for name in names[:2])
    return f"{opset}def main({inputs}):\n{body}    return {', '.join(map(spelled_name, outputs))}\n"


@st.composite
def statements(draw: st.DrawFn, name: str, names: list[str], kind: str) -> list[str]:
    """The lines that give one new value of a type."""
    first, second = draw(st.sampled_from(names)), draw(st.sampled_from(names))
    unary, binary = draw(st.sampled_from(UNARY)), draw(st.sampled_from(BINARY))
    number = draw(NUMBERS)
    forms = [
        [f"{name} = const({kind})"],
        [f"{name} = const( {kind},{number} )  # filled"],
        [f"{name} = {unary}(x={first})"],
        [f"{name} = {binary}(y={second}, x={first})"],
        [f"{name} = {binary}(y={number}, x={first})"],
        [f"{name} = {binary}(x={number}, y={first})"],
        [f"{name}_a, {name}_b = split(x={first}, num_splits=2, axis=0)",
         f"{name} = concat(axis=0, values=[{name}_b, {name}_a])"],
        [f"def {name}_n():", f"    return {first}",
         f"def {name}_y():", f"    {name}_c = const({kind})",
         f"    {name}_t = {binary}(x={second}, y={name}_c)",
         f"    return {name}_t",
         f"{name} = cond(pred=True, _true_fn={name}_y, _false_fn={name}_n)"],
    ]  # fmt: skip
    return draw(st.sampled_from(forms))


@quick(200)
@given(texts())
def test_a_program_prints_as_its_text(text: str) -> None:
    printed = print_program(read_program(text))
    assert printed == normalized(text)
    assert normalized(printed) == printed


@quick(60)
@given(texts(dtypes=("fp32",)))  # the type that a literal has by itself
def test_a_printed_program_can_be_read(text: str) -> None:
    printed = normalized(text)
    assert print_program(read_program(printed)) == printed
