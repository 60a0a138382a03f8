"""The data flow is the same in both homes of a program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import pytest

from milpass.graph import Graph
from milpass.targets import open_target
from tests.with_coremltools.cases import CASES, two_functions
from tests.with_coremltools.conftest import read_by_coremltools
from tests.with_coremltools.programs import saved

# What coremltools calls an operation, and how it writes it.
WRITTEN = {"coreml_update_state": "write_state"}


def told(graph: Graph) -> list[tuple[Any, ...]]:
    """What selectors ask of each operation, function by function, in order; names left out."""
    hops = [graph.hops_to(kind) for kind in ("matmul", "linear", "softmax", "while_loop")]
    return [
        (
            WRITTEN.get(node.op_type, node.op_type),
            node.at.function,
            len(node.at.block),
            node.reads_input,
            node.gives_output,
            node.bears_weight,
            graph.depths_from_input.get(node.at),
            graph.depths_from_output.get(node.at),
            node.at in graph.attention,
            [distances.get(node.at) for distances in hops],
        )
        for node in sorted(graph.nodes, key=lambda node: node.at.function)  # a message keeps no order of them
    ]


@pytest.mark.parametrize("case", [*CASES.values(), two_functions], ids=lambda case: case.__name__)
def test_both_homes_tell_the_same(case: Callable[[Any], Any], tmp_path: Path) -> None:
    release = ct.target.iOS18
    package = saved(case(release), tmp_path / "m.mlpackage", release)
    inside = told(open_target(read_by_coremltools(package)).graph())
    assert told(open_target(package).graph()) == inside


def by_name(graph: Graph) -> dict[str, Any]:
    return {node.op_name: node for node in graph.nodes}


def test_a_loop_is_a_cycle_that_its_input_and_output_lead_through() -> None:
    """By hand: input -> loop <-> step, loop -> out."""
    graph = open_target(CASES["loop"](ct.target.iOS18)).graph()
    found = by_name(graph)
    edges = {(u.name, v.name) for u, v in graph.networkx.edges}
    loop, step, out = (found[name].at for name in ("loop", "step", "out"))
    first_result = loop.name
    assert {(first_result, step.name), (step.name, first_result), (first_result, out.name)} <= edges
    assert graph.depths_from_input[step] == 0 and graph.depths_from_output[step] == 0
    assert graph.depths_from_output[loop] == 0 and found["step"].bears_weight


def test_both_branches_lead_to_the_output() -> None:
    graph = open_target(CASES["branches"](ct.target.iOS18)).graph()
    found = by_name(graph)
    for name in ("taken", "other"):
        assert found[name].reads_input and found[name].bears_weight
        assert graph.depths_from_output[found[name].at] == 0
        assert graph.hops_to("cond")[found[name].at] == 1


def test_layers_have_their_depths() -> None:
    graph = open_target(CASES["attention"](ct.target.iOS16)).graph()
    found = by_name(graph)
    depths = {name: graph.depths_from_input[found[name].at] for name in ("q", "k", "v", "out")}
    assert depths == {"q": 0, "k": 0, "v": 0, "out": 1}
    assert {at.name for at in graph.attention} == {found[name].at.name for name in ("q", "k", "v", "out")}
