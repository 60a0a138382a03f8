"""Drawn programs, as mini-MIL texts."""

from __future__ import annotations

from hypothesis import strategies as st

OPSETS = ("iOS16", "iOS17", "iOS18")
SIDES = (4, 16, 64)

# What a layer does with a value of some width: the lines, and the width that it makes.
LAYERS = ("linear", "matmul", "relu", "add", "branch")


@st.composite
def programs(draw: st.DrawFn, most_layers: int = 5) -> str:
    """A feed-forward program of fp16: matrix products, biases, activations, branches with weights in them.

    Read it with `milpass.testing.read_program`.
    """
    width = draw(st.sampled_from(SIDES))
    lines = [f"@{draw(st.sampled_from(OPSETS))}", f"def main(v0: fp16[1, {width}]):"]
    layers = draw(st.lists(st.sampled_from(LAYERS), min_size=1, max_size=most_layers))
    for number, layer in enumerate(layers, 1):
        after = draw(st.sampled_from(SIDES)) if layer in ("linear", "matmul") else width
        lines += [f"    {line}" for line in _layer(layer, number, width, after)]
        width = after
    return "\n".join([*lines, f"    return v{len(layers)}"]) + "\n"


def _layer(layer: str, number: int, width: int, after: int) -> list[str]:
    """The lines of one layer, which makes v<number> of the value before it."""
    value, made = f"v{number - 1}", f"v{number}"
    products = f"w{number} = const(fp16[{width}, {after}])"
    lines = {
        "linear": [
            f"w{number} = const(fp16[{after}, {width}])",
            f"{made} = linear(x={value}, weight=w{number})",
        ],
        "matmul": [products, f"{made} = matmul(x={value}, y=w{number})"],
        "relu": [f"{made} = relu(x={value})"],
        "add": [f"b{number} = const(fp16[1, {width}])", f"{made} = add(x={value}, y=b{number})"],
        "branch": [
            f"sum{number} = reduce_sum(x={value}, axes=[0, 1], keep_dims=False)",
            f"positive{number} = greater(x=sum{number}, y=0.0)",
            f"def taken{number}():",
            f"    {products}",
            f"    product{number} = matmul(x={value}, y=w{number})",
            f"    return product{number}",
            f"def other{number}():",
            f"    negative{number} = mul(x={value}, y=-1.0)",
            f"    return negative{number}",
            f"{made} = cond(pred=positive{number}, _true_fn=taken{number}, _false_fn=other{number})",
        ],
    }
    return lines[layer]
