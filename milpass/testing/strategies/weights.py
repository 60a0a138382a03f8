"""Drawn weights, without values: what passes and selectors look at."""

from __future__ import annotations

from hypothesis import strategies as st

from milpass.roles import REARRANGING, TABLE
from milpass.weight import Key, Reader, Source, Weight

NAMES = ("embed_weight_to_fp16", "layers_0_weight_to_fp16", "layers_0_weight", "layers.0.weight", "head", "w")
OPS = ("conv", "linear", "gather", "add")

# Inputs that have no role, beside all those that have one.
OPERANDS = (("add", "x"), ("mul", "y"), ("const_reader", "weight"), ("conv", "x"), ("gather", "indices"))


@st.composite
def readers(draw: st.DrawFn) -> Reader:
    """A reader with the role that its operation and input have."""
    place = draw(st.sampled_from([*TABLE, *OPERANDS]))
    through = draw(st.lists(st.sampled_from(sorted(REARRANGING)), max_size=2))
    return Reader(place[0], draw(st.sampled_from(OPS)) + "_0", place[1], TABLE.get(place), tuple(through))


def _mostly_none(text: str) -> st.SearchStrategy[str | None]:
    """Mostly None, sometimes a text."""
    return st.sampled_from([None, None, None, text])


@st.composite
def weights(draw: st.DrawFn, position: int = 0) -> Weight:
    """A weight without values, of any shape and type, sometimes encoded or barred."""
    return Weight(
        Key("main", (), draw(st.sampled_from(NAMES))),
        tuple(draw(st.lists(st.sampled_from([1, 2, 3, 48, 64]), max_size=5))),
        draw(st.sampled_from(["fp16", "fp32", "bf16", "fp64"])),
        Source("weights/weight.bin", 64 + 64 * position),
        tuple(draw(st.lists(readers(), max_size=3))),
        encoded=draw(_mostly_none("constexpr_lut_to_dense")),
        barred=draw(_mostly_none("it is a result of its block")),
    )


models = st.lists(weights(), max_size=3).map(tuple)
