"""The language of `where`: agrees with Python's own logic, and prints as the text that makes it."""

from __future__ import annotations

from importlib import import_module

import pytest
from hypothesis import given

from milpass.errors import UsageError
from milpass.passes import fit_lut
from milpass.roles import role
from milpass.selectors import (
    SELECTORS,
    Selector,
    anything,
    is_weight,
    kernel_channels,
    layer_type,
    name,
    op_name,
    op_type,
    output_channels,
    size,
)
from milpass.testing.strategies import weights
from milpass.text import read
from milpass.weight import Key, Reader, Source, Weight
from tests.strategies import quick, selectors


def weight(*readers: Reader, named: str = "w", shape: tuple[int, ...] = (4, 8)) -> Weight:
    return Weight(Key("main", (), named), shape, "fp16", Source("weights/weight.bin", 64), readers)


def read_by(op: str, use: str | None, *through: str) -> Weight:
    return weight(Reader(op, f"{op}_7", "x", use, through))


def tree(selector: Selector) -> object:
    """The types and arguments of a selector, all the way down, compared without its own equality."""
    parts = [getattr(selector, each.name) for each in getattr(type(selector), "__attrs_attrs__", ())]
    return type(selector), [tree(part) if isinstance(part, Selector) else part for part in parts]


@quick(max_examples=40)
@given(weights(), selectors, selectors)
def test_combinations_agree_with_pythons_logic(drawn: Weight, one: Selector, other: Selector) -> None:
    a, b = one.holds(drawn), other.holds(drawn)
    assert (one & other).holds(drawn) is (a and b)
    assert (one | other).holds(drawn) is (a or b)
    assert (~one).holds(drawn) is (not a)


@quick(max_examples=30)
@given(weights(), selectors, selectors)
def test_de_morgan(drawn: Weight, one: Selector, other: Selector) -> None:
    assert (~(one & other)).holds(drawn) == (~one | ~other).holds(drawn)
    assert (~(one | other)).holds(drawn) == (~one & ~other).holds(drawn)


@quick(max_examples=60)
@given(selectors)
def test_the_printed_text_makes_the_selector_again(selector: Selector) -> None:
    again = read(repr(selector), SELECTORS)
    assert again == selector and hash(again) == hash(selector)
    assert tree(again) == tree(selector)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (is_weight & anything | ~op_type("conv"), "is_weight & anything | ~op_type('conv')"),
        (is_weight & (anything | op_type("conv")), "is_weight & (anything | op_type('conv'))"),
        (~(is_weight & anything), "~(is_weight & anything)"),
        (~is_weight & anything, "~is_weight & anything"),
        (is_weight | (anything | is_weight), "is_weight | (anything | is_weight)"),
        ((is_weight | anything) | is_weight, "is_weight | anything | is_weight"),
        (is_weight & (anything & is_weight), "is_weight & (anything & is_weight)"),
        (name("it's"), 'name("it\'s")'),
        (op_name("a\\b\n"), "op_name('a\\\\b\\n')"),
        (size(), "size()"),
        (size(max=9, min=0), "size(min=0, max=9)"),
    ],
)
def test_text_has_the_brackets_that_it_needs_and_no_more(selector: Selector, text: str) -> None:
    assert repr(selector) == text


@pytest.mark.parametrize(
    ("use", "chosen"),
    [
        ("weight", True),
        ("embedding", True),
        ("bias", False),
        ("norm", False),
        ("mask", False),
        ("slope", False),
        (None, False),
    ],
)
@pytest.mark.parametrize("through", [(), ("cast",), ("transpose", "reshape")])
def test_is_weight_goes_by_the_readers_role(use: str | None, chosen: bool, through: tuple[str, ...]) -> None:
    assert is_weight.holds(read_by("anything_at_all", use, *through)) is chosen


@pytest.mark.parametrize(
    ("op", "input_name", "chosen"),
    [
        ("conv", "weight", True),
        ("conv_transpose", "weight", True),
        ("linear", "weight", True),
        ("matmul", "x", True),
        ("matmul", "y", True),
        ("gather", "x", True),
        ("lstm", "weight_hh_back", True),
        ("gather", "indices", False),
        ("conv", "bias", False),
        ("lstm", "peephole", False),
        ("batch_norm", "variance", False),
        ("layer_norm", "gamma", False),
        ("prelu", "alpha", False),
        ("scaled_dot_product_attention", "attn_mask", False),
        ("add", "y", False),
    ],
)
def test_is_weight_of_what_operations_use(op: str, input_name: str, chosen: bool) -> None:
    assert is_weight.holds(weight(Reader(op, "o", input_name, role(op, input_name)))) is chosen


def test_is_weight_needs_one_reader_with_such_a_role() -> None:
    bias, matrix = Reader("conv", "c", "bias", "bias"), Reader("linear", "l", "weight", "weight")
    assert is_weight.holds(weight(bias, matrix)) and is_weight.holds(weight(matrix, bias))
    assert not is_weight.holds(weight(bias, bias))
    assert not is_weight.holds(weight())


def test_is_weight_does_not_take_a_rearranging_operation_for_a_use() -> None:
    assert not is_weight.holds(read_by("add", None, "cast", "transpose"))


@pytest.mark.parametrize(
    "pattern", ["layers.0.weight", "layers_0_weight", "layers.*", "*0_weight", "layers/0/*"]
)
@pytest.mark.parametrize("stored", ["layers_0_weight", "layers_0_weight_to_fp16"])
def test_name_matches_the_exported_forms(pattern: str, stored: str) -> None:
    assert name(pattern).holds(weight(named=stored))


@pytest.mark.parametrize(
    ("pattern", "stored", "holds"),
    [
        ("layers.0.weight", "layers.0.weight", True),
        ("layers_0_weight_to_fp16", "layers_0_weight_to_fp16", True),
        ("layers.0.weight", "layers_0_weight_1", False),
        ("layers.0.weight", "layers_10_weight", False),
        ("layers", "layers_0_weight", False),
        ("layers.0.weight_to_fp16", "layers_0_weight", False),
        ("*_to_fp16", "layers_0_weight", False),
        ("Layers*", "layers_0_weight", False),
        ("l?yers_[01]_*", "layers_0_weight", True),
        ("l?yers_[!01]_*", "layers_0_weight", False),
        ("", "w", False),
    ],
)
def test_name_globs(pattern: str, stored: str, holds: bool) -> None:
    assert name(pattern).holds(weight(named=stored)) is holds


def test_op_type_matches_readers_and_rearranging_operations() -> None:
    seen = read_by("linear", "weight", "cast", "transpose")
    for pattern in ("linear", "lin*", "cast", "trans*", "[l]inear"):
        assert op_type(pattern).holds(seen), pattern
    for pattern in ("conv", "line", "Linear", "linear_7", "weight"):
        assert not op_type(pattern).holds(seen), pattern
    assert not op_type("*").holds(weight())


def test_op_name_matches_the_readers_name_alone() -> None:
    seen = read_by("linear", "weight", "cast")
    assert op_name("linear_7").holds(seen) and op_name("*_7").holds(seen)
    assert not any(op_name(pattern).holds(seen) for pattern in ("linear", "cast", "w", "LINEAR_7"))


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        (size(min=32), True),
        (size(min=33), False),
        (size(max=32), True),
        (size(max=31), False),
        (size(min=32, max=32), True),
        (size(min=40, max=20), False),
        (size(), True),
        (size(max=0), False),
    ],
)
def test_size_bounds_count_elements_and_are_inclusive(selector: Selector, holds: bool) -> None:
    assert selector.holds(weight(shape=(4, 8))) is holds


def test_a_scalar_has_one_element() -> None:
    assert size(min=1, max=1).holds(weight(shape=()))


@pytest.mark.parametrize("other", [3, None, "conv", fit_lut(nbits=4), op_type])
@pytest.mark.parametrize("sign", ["&", "|"])
def test_joining_with_something_else_is_refused_in_words(other: object, sign: str) -> None:
    with pytest.raises(UsageError) as raised:
        is_weight & other if sign == "&" else is_weight | other  # type: ignore[operator]
    assert str(raised.value) == (
        f"is_weight: `{sign}` cannot join a selector with something else: got {other!r}, "
        "needs a selector on either side."
    )


def test_bare_and_called_are_equal() -> None:
    assert is_weight() == is_weight and anything() == anything and is_weight != anything
    assert read("is_weight() & anything", SELECTORS) == is_weight & anything


@pytest.mark.parametrize(
    ("make", "value"),
    [(name, 3), (op_type, None), (op_name, b"x"), ("min", "a"), ("max", 2.5), ("min", -1), ("max", True)],
)
def test_wrong_arguments_are_refused_in_one_short_line(make: object, value: object) -> None:
    with pytest.raises(UsageError) as raised:
        size(**{make: value}) if isinstance(make, str) else make(value)  # type: ignore[operator]
    message = str(raised.value)
    assert repr(value) in message and "Attribute(" not in message and "\n" not in message


def test_the_vocabulary_is_what_is_documented() -> None:
    words = "is_weight anything op_type op_name name matches size rank shape dtype"
    assert set(words.split()) <= set(SELECTORS)


def test_channels_lie_where_readers_say() -> None:
    transposed = weight(Reader("conv_transpose", "up", "weight", "weight", axes=(1, 0)), shape=(3, 16, 2, 2))
    assert kernel_channels(min=3, max=3).holds(transposed)
    assert output_channels(min=16).holds(transposed) and not output_channels(max=15).holds(transposed)
    untold = read_by("conv", "bias")
    assert not kernel_channels().holds(untold) and not output_channels().holds(untold)
    assert (~kernel_channels(max=4)).holds(untold)


def test_layers_have_types() -> None:
    held = read_by("innerProduct", "weight", "loadConstant")
    assert layer_type("inner*").holds(held) and layer_type("loadConstant").holds(held)
    assert not layer_type("convolution").holds(held)
    assert repr(layer_type("inner*")) == "layer_type('inner*')" and layer_type("a") != op_type("a")


@pytest.mark.parametrize("file", ["patterns", "places", "sizes", "uses"])
def test_every_selector_of_a_file_is_a_word(file: str) -> None:
    held = vars(import_module(f"milpass.selectors.{file}")).items()
    own = {name for name, value in held if getattr(value, "__module__", None) == f"milpass.selectors.{file}"}
    classes = {name for name in own if name.islower() and not name.startswith("_")}
    defined = {name for name in classes if isinstance(dict(held)[name], Selector | type)}
    assert defined and defined <= set(SELECTORS)
    assert {name: SELECTORS[name] for name in defined} == {name: dict(held)[name] for name in defined}
