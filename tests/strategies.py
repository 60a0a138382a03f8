"""Drawn weights, selectors, passes and pipelines; and how hypothesis runs in this suite."""

from __future__ import annotations

import os
import tempfile

from hypothesis import configuration, settings
from hypothesis import strategies as st

from milpass.granularity import PerTensor
from milpass.passes import Pass, deselect_weights, fit_lut, replace_const_with_lut, select_weights
from milpass.pipeline import Pipeline
from milpass.selectors import (
    Selector,
    anything,
    dtype,
    is_weight,
    kernel_channels,
    layer_type,
    matches,
    name,
    op_name,
    op_type,
    output_channels,
    rank,
    shape,
    size,
)

# hypothesis keeps tables of characters even without a database: not in the working folder
configuration.set_hypothesis_home_dir(f"{tempfile.gettempdir()}/milpass-hypothesis")

# How many examples are drawn, relative to what a test asks for: few while one works, all in `make test`,
# many in `make test-long`.
EFFORT = float(os.environ.get("MILPASS_EFFORT", "0.05"))


def quick(max_examples: int, *, derandomize: bool = False) -> settings:
    """The settings of a property that is tried with about so many examples."""
    drawn = max(int(max_examples * EFFORT), 3)
    return settings(max_examples=drawn, deadline=None, database=None, derandomize=derandomize)


GLOBS = ("*", "conv*", "*ear", "layers.0.weight", "layers*", "[clg]*", "h?ad", "w", "transpose")

bounds = st.none() | st.integers(0, 5000)
patterns = st.sampled_from(GLOBS) | st.text(max_size=6)

leaves: st.SearchStrategy[Selector] = st.one_of(
    st.just(is_weight),
    st.just(anything),
    st.builds(op_type, patterns),
    st.builds(layer_type, patterns),
    st.builds(name, patterns),
    st.builds(op_name, patterns),
    st.builds(size, min=bounds, max=bounds),
    st.builds(kernel_channels, min=bounds, max=bounds),
    st.builds(output_channels, min=bounds, max=bounds),
    st.builds(rank, st.integers(0, 5)),
    st.builds(rank, min=bounds, max=bounds),
    st.builds(shape, st.lists(st.none() | st.sampled_from([1, 3, 64]), max_size=4).map(tuple)),
    st.builds(dtype, st.sampled_from(["fp16", "bf16", "fp32", "fp64"])),
    st.builds(matches, st.sampled_from(["^layers", r"_\d+_", "weight$", "", "embed|head"])),
)


def _joined(inner: st.SearchStrategy[Selector]) -> st.SearchStrategy[Selector]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        pairs.map(lambda pair: pair[0] & pair[1]),
        pairs.map(lambda pair: pair[0] | pair[1]),
        inner.map(lambda selector: ~selector),
    )


selectors: st.SearchStrategy[Selector] = st.recursive(leaves, _joined, max_leaves=6)

passes: st.SearchStrategy[Pass] = st.one_of(
    st.builds(select_weights, threshold=st.integers(0, 10**6), where=selectors),
    st.builds(
        fit_lut,
        mode=st.sampled_from(["kmeans", "uniform"]),
        nbits=st.integers(1, 8),
        granularity=st.just(PerTensor()),
    ),
    st.just(fit_lut(mode="unique")),
    st.builds(fit_lut, mode=st.just("custom"), lut_function=st.just("tables:quantiles")),
    st.just(replace_const_with_lut()),
    st.builds(deselect_weights, selectors),
)

pipelines: st.SearchStrategy[Pipeline] = st.lists(passes, max_size=4).map(lambda steps: Pipeline(*steps))
