"""Palettize during the conversion of a torch module: bits by module and by type of operation."""

from __future__ import annotations

from typing import Any

import coremltools as ct
import torch

from milpass import fit_lut, last_plan, replace_const_with_lut, select_weights
from milpass.selectors import module, op_type


class Net(torch.nn.Module):
    """A convolution, and two linear layers under `head`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 32, 3)
        self.head = torch.nn.Sequential(torch.nn.Linear(32, 128), torch.nn.ReLU(), torch.nn.Linear(128, 100))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores for a batch of images."""
        return self.head(torch.relu(self.stem(image)).mean((2, 3)))


PIPELINE = (
    select_weights(threshold=512, where=op_type("conv"))
    | fit_lut(nbits=6)
    | select_weights(threshold=512, where=module("head") & op_type("linear"))
    | fit_lut(nbits=4)
    | replace_const_with_lut()
)


def convert() -> tuple[Any, Any]:
    """The model, and the plan of what was done to it."""
    torch.manual_seed(0)
    image = torch.zeros(1, 3, 32, 32)
    passes = PIPELINE.to_coremltools()
    model = ct.convert(
        torch.jit.trace(Net().eval(), image),
        inputs=[ct.TensorType(name="image", shape=image.shape)],
        minimum_deployment_target=ct.target.iOS16,
        pass_pipeline=passes,
        skip_model_load=True,
    )
    return model, last_plan(passes)


if __name__ == "__main__":
    print(convert()[1])
