"""How a pass, a mode and a selector of one's own are tested: on any system, in milliseconds."""

from __future__ import annotations

import unittest

from house_passes import select_largest, wider_than_tall

from milpass import apply, fit_lut, read_weights, replace_const_with_lut, select_weights
from milpass.testing import assert_op_counts, assert_rewrites, assert_weights_close, read_program

BEFORE = """
    def main(x: fp16[1, 64]):
        large = const(fp16[96, 64])
        small = const(fp16[8, 96])
        h = linear(x=x, weight=large)
        y = linear(x=h, weight=small)
        return y
"""


def test_the_largest_weights_are_chosen() -> None:
    pipeline = select_largest(share=0.8) | fit_lut(nbits=4) | replace_const_with_lut()
    after = BEFORE.replace(
        "const(fp16[96, 64])", "constexpr_lut_to_dense(indices=uint8[3072], lut=fp16[16], shape=[96, 64])"
    )
    assert_rewrites(pipeline, before=BEFORE, after=after)


class TestSelector(unittest.TestCase):
    def test_wide_matrices(self) -> None:
        pipeline = select_weights(8, wider_than_tall) | fit_lut(nbits=6) | replace_const_with_lut()
        plan = pipeline.plan(read_program(BEFORE))
        self.assertEqual([row.weight.name for row in plan.replaced], ["small"])


def test_quantiles_keep_the_signal() -> None:
    program = read_program(BEFORE)
    dense = dict(read_weights(program))
    pipeline = select_largest(share=1.0) | fit_lut(mode="quantiles", nbits=6) | replace_const_with_lut()
    apply(pipeline, program)
    assert_op_counts(program, constexpr_lut_to_dense=2, linear=2)
    assert_weights_close(dense, program, snr_db=20)
