"""The graph and the selectors that ask it, against brute force on small graphs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise, permutations

import networkx
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from milpass import UsageError, parse, select_weights
from milpass.graph import Graph, Node
from milpass.plan import Plan, Selected, Skipped
from milpass.selectors import (
    Selector,
    depth_from_input,
    depth_from_output,
    first,
    last,
    module,
    near,
    role,
    shared_by,
    unmatched,
)
from milpass.weight import Key, Reader, Source, Weight
from tests.strategies import quick


def at(name: str, function: str = "main") -> Key:
    return Key(function, (), name)


def node(name: str, op_type: str, **facts: bool) -> Node:
    return Node(at(name), op_type, f"{name}_op", **facts)


def graph(nodes: Iterable[Node], edges: str) -> Graph:
    """A graph from nodes and edges such as "a>b b>c"."""
    pairs = (edge.split(">") for edge in edges.split())
    return Graph(nodes, [(at(source), at(reader)) for source, reader in pairs])


def weight(*readers: str, of: Graph, role: str = "weight", kind: str = "linear") -> Weight:
    found = tuple(Reader(kind, f"{name}_op", "weight", role, (), at(name)) for name in readers)
    return Weight(at("w_" + "_".join(readers)), (64, 64), "fp16", Source("f", 64), found, graph=lambda: of)


# x -> a (linear) -> r (relu) -> b (linear) -> s (softmax) -> c (linear) -> out, and b -> out too
CHAIN = graph(
    [
        node("a", "linear", reads_input=True, bears_weight=True),
        node("r", "relu"),
        node("b", "linear", bears_weight=True, gives_output=True),
        node("s", "softmax"),
        node("c", "linear", bears_weight=True, gives_output=True),
    ],
    "a>r r>b b>s s>c",
)


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        (near("softmax", 0), ""),
        (near("softmax", 1), "bc"),
        (near("softmax", 3), "abc"),
        (near("soft*", 1), "bc"),
        (near("relu", 1), "ab"),
        (near("linear", 0), "abc"),
        (near("conv", 9), ""),
        (first("linear"), "a"),
        (first("linear", 2), "ab"),
        (first("relu"), ""),
        (first("*", n=9), "abc"),
        (last("linear"), "c"),
        (last("l*", 2), "bc"),
        (depth_from_input(max=0), "a"),
        (depth_from_input(min=1), "bc"),
        (depth_from_input(min=2, max=2), "c"),
        (depth_from_output(max=0), "bc"),
        (depth_from_output(min=1), "a"),
        (~near("softmax", 1) & first("linear", 2), "a"),
    ],
    ids=repr,
)
def test_places_in_a_chain(choice: Selector, chosen: str) -> None:
    assert "".join(name for name in "abc" if choice.holds(weight(name, of=CHAIN))) == chosen
    step = select_weights(where=choice)
    assert parse(repr(step)).passes == (step,)


def attention(kind: str) -> Graph:
    """Projections q, k, v, an attention, a projection o, a residual, and a feed-forward layer f."""
    inner = {
        "softmax": ("scores>soft soft>mix q>scores k>scores v>mix mix>o", ["matmul", "softmax", "matmul"]),
        "sdpa": ("q>scores k>scores v>scores scores>o", ["scaled_dot_product_attention"]),
    }
    edges, types = inner[kind]
    bearing = [node(name, "linear", bears_weight=True) for name in ("q", "k", "v", "o", "f", "e")]
    inside = [node(name, op_type) for name, op_type in zip(("scores", "soft", "mix"), types, strict=False)]
    others = [node("head", "softmax", gives_output=True), node("sum", "add"), node("ids", "gather")]
    return graph([*bearing, *inside, *others], f"e>q e>k e>v {edges} o>sum e>sum sum>f f>head")


@pytest.mark.parametrize("kind", ["softmax", "sdpa"])
def test_attention_is_what_stands_next_to_it(kind: str) -> None:
    of = attention(kind)
    chosen = {name for name in "qkvofe" if role("attention").holds(weight(name, of=of))}
    assert chosen == set("qkvo")


def test_a_softmax_of_a_classifier_is_no_attention() -> None:
    assert CHAIN.attention == frozenset()


def test_roles_of_readers() -> None:
    bias = weight("a", of=CHAIN, role="bias")
    assert role("bias").holds(bias) and not role("weight").holds(bias)
    with pytest.raises(UsageError, match=r"got 'query', needs one of 'weight', 'bias'.*'attention'"):
        role("query")


def test_shared_by_counts_operations() -> None:
    assert not shared_by(2).holds(weight("a", of=CHAIN))
    assert shared_by(2).holds(weight("a", "b", of=CHAIN)) and not shared_by(3).holds(
        weight("a", "b", of=CHAIN)
    )
    (reader,) = weight("a", of=CHAIN).readers
    twice = evolve(weight("a", of=CHAIN), readers=(reader, evolve(reader, input="bias")))
    assert not shared_by(2).holds(twice), "one operation that reads it twice"


def test_first_and_last_count_in_each_function() -> None:
    nodes = [
        Node(Key(function, (), name), "conv", name, bears_weight=True)
        for function in ("f", "g")
        for name in ("a", "b")
    ]
    of = Graph(nodes, [])
    weights = [
        Weight(
            each.at, (64, 64), "fp16", Source("f", 0), (Reader("conv", "c", "weight", "weight", (), each.at),)
        )
        for each in nodes
    ]
    weights = [evolve(each, graph=lambda: of) for each in weights]
    chosen = [(each.key.function, each.name) for each in weights if first("conv").holds(each)]
    assert chosen == [("f", "a"), ("g", "a")]


def test_modules_are_known_inside_a_conversion_only() -> None:
    inside = evolve(weight("a", of=CHAIN), modules=frozenset({"encoder.layers.0.query"}))
    for pattern, chosen in {
        "encoder.layers.0.query": True,
        "encoder": True,
        "encoder.layers.0": True,
        "encoder.layers.1": False,
        "*.query": True,
        "encoder.lay": False,
    }.items():
        assert module(pattern).holds(inside) is chosen, pattern
    with pytest.raises(UsageError, match="needs a program inside a conversion"):
        module("encoder").holds(weight("a", of=CHAIN))


def test_an_operation_type_that_is_not_there_is_told_with_near_ones() -> None:
    weights = [weight("a", of=CHAIN)]
    (told,) = unmatched(near("softmin", 3), weights)
    assert told == "near('softmin', 3) matches nothing; near it: softmax"
    (told,) = unmatched(first("conv"), weights)
    assert told.startswith("first('conv') matches nothing")


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda v: near("conv", v), -1),
        (lambda v: near("conv", v), 1.5),
        (lambda v: near(v, 1), 3),
        (lambda v: first("conv", v), 0),
        (lambda v: last("conv", v), True),
        (shared_by, 0),
        (module, 3),
        (lambda v: depth_from_input(max=v), -1),
    ],
)
def test_wrong_arguments_are_refused(make: object, value: object) -> None:
    with pytest.raises(UsageError, match="needs"):
        make(value)  # type: ignore[operator]


def test_a_plan_says_which_place_did_not_choose_a_weight() -> None:
    plan = select_weights(threshold=0, where=first("linear")).fold(
        Plan.of((weight("a", of=CHAIN), weight("b", of=CHAIN)))
    )
    chosen, left = (row.entry for row in plan.rows)
    assert isinstance(chosen, Selected)
    assert isinstance(left, Skipped) and "not chosen by first('linear')" in left.reason


def test_the_graph_is_read_only() -> None:
    with pytest.raises(networkx.NetworkXError, match="Frozen"):
        CHAIN.networkx.add_node("z")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, list[tuple[str, str]], dict[str, Node]]:
    names = "abcde"[: draw(st.integers(1, 5))]
    nodes = {
        name: Node(
            at(name),
            draw(st.sampled_from(["conv", "relu"])),
            name,
            draw(st.booleans()),
            draw(st.booleans()),
            draw(st.booleans()),
        )
        for name in names
    }
    edges = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=10))
    made = Graph(nodes.values(), [(at(source), at(reader)) for source, reader in edges])
    return made, edges, nodes


def ways(
    nodes: dict[str, Node], edges: set[tuple[str, str]], source: str, sink: str
) -> list[tuple[str, ...]]:
    """Every way without a repeated operation from one to another, by trying them all."""
    inner = [name for name in nodes if name not in (source, sink)]
    if source == sink:
        return [(source,)]
    tried = [(source, *middle, sink) for n in range(len(inner) + 1) for middle in permutations(inner, n)]
    return [way for way in tried if all(pair in edges for pair in pairwise(way))]


@given(graphs())
@quick(150)
def test_hops_and_depths_equal_the_best_of_all_ways(
    drawn: tuple[Graph, list[tuple[str, str]], dict[str, Node]],
) -> None:
    made, listed, nodes = drawn
    forward = set(listed)
    both = forward | {(reader, source) for source, reader in listed}

    def bearing(way: Iterable[str]) -> int:
        return sum(nodes[name].bears_weight for name in way)

    for name in nodes:
        convs = [way for n in nodes if nodes[n].op_type == "conv" for way in ways(nodes, both, n, name)]
        assert made.hops_to("conv").get(at(name)) == min((len(way) - 1 for way in convs), default=None)
        into = [w for n in nodes if nodes[n].reads_input for w in ways(nodes, forward, n, name)]
        depths = made.depths_from_input
        assert depths.get(at(name)) == min((bearing(way[:-1]) for way in into), default=None)
        out = [w for n in nodes if nodes[n].gives_output for w in ways(nodes, forward, name, n)]
        depths = made.depths_from_output
        assert depths.get(at(name)) == min((bearing(way[1:]) for way in out), default=None)
