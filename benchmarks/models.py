"""Weights and packages to measure with: the same ones on every run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from benchmarks.peer import coremltools

OUTLIERS = 0.0005


def layered_weight(seed: int, outputs: int, inputs: int) -> NDArray[np.float16]:
    """Normal, each output channel with a log-normal scale of its own, 1 in 2,000 far out."""
    return layered_fp32(seed, outputs, inputs).astype(np.float16)


def layered_fp32(seed: int, outputs: int, inputs: int) -> NDArray[np.float32]:
    """The same before it is rounded."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((outputs, inputs), dtype=np.float32)
    weight *= np.exp(0.5 * rng.standard_normal((outputs, 1), dtype=np.float32)) / np.sqrt(inputs)
    far = rng.random(weight.shape, dtype=np.float32) < OUTLIERS
    weight[far] *= rng.uniform(5, 20, np.count_nonzero(far)).astype(np.float32)
    return weight


def heavy_tailed_weight(seed: int, outputs: int, inputs: int) -> NDArray[np.float16]:
    """Student's t with three degrees of freedom: single values a hundred times the typical one."""
    rng = np.random.default_rng(seed)
    weight: NDArray[np.float64] = rng.standard_t(3, (outputs, inputs)) / np.sqrt(3 * inputs)
    return weight.astype(np.float16)


@frozen
class Network:
    """Feed-forward blocks, each a linear layer up, an activation, a linear layer down, and a sum."""

    width: int
    hidden: int
    blocks: int

    @property
    def weights(self) -> int:
        """The number of weights, biases not counted."""
        return 2 * self.width * self.hidden * self.blocks


NETWORKS = {
    "1M": Network(width=250, hidden=1000, blocks=2),
    "25M": Network(width=1250, hidden=2500, blocks=4),
    "25M in 50": Network(width=500, hidden=1000, blocks=25),
    "100M in 50": Network(width=1000, hidden=2000, blocks=25),
    "50M": Network(width=1250, hidden=2500, blocks=8),
    "250M": Network(width=2500, hidden=5000, blocks=10),
    "1B": Network(width=5000, hidden=10_000, blocks=10),
}
SMALL_SIDE = 48


def single_linear(weight: NDArray[np.floating]) -> Any:
    """A PyMIL program of one linear layer, newly made: passes change it."""
    mb, tensor = _builder(weight.shape[1], weight.dtype.name)

    @mb.program(input_specs=[tensor], opset_version=coremltools().target.iOS16)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        return mb.linear(x=x, weight=weight, name="y")

    return program


def feed_forward(network: Network, seed: int) -> Any:
    """A PyMIL program of a network; gelu and relu take turns."""
    mb, tensor = _builder(network.width)

    @mb.program(input_specs=[tensor], opset_version=coremltools().target.iOS16)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        for block in range(network.blocks):
            up = layered_weight(seed + 2 * block, network.hidden, network.width)
            down = layered_weight(seed + 2 * block + 1, network.width, network.hidden)
            inner = mb.linear(x=x, weight=up, name=f"up_{block}")
            active = mb.relu(x=inner) if block % 2 else mb.gelu(x=inner, mode="TANH_APPROXIMATION")
            x = mb.add(x=x, y=mb.linear(x=active, weight=down, name=f"down_{block}"))
        return x

    return program


def small_linears(count: int) -> Any:
    """A PyMIL program of so many linear layers in a row, each of 48 x 48 weights."""
    mb, tensor = _builder(SMALL_SIDE)

    @mb.program(input_specs=[tensor], opset_version=coremltools().target.iOS16)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        for number in range(count):
            x = mb.linear(x=x, weight=layered_weight(number, SMALL_SIDE, SMALL_SIDE), name=f"linear_{number}")
        return x

    return program


def _builder(width: int, dtype: str = "float16") -> tuple[Any, Any]:
    """PyMIL's builder, and the type of an input of one row."""
    coremltools()
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import types

    return Builder, Builder.TensorSpec(
        (1, width), dtype={"float16": types.fp16, "float32": types.fp32}[dtype]
    )


def converted(program: Any) -> Any:
    """The `MLModel` of a program, for iOS16, its operations as they are."""
    ct = coremltools()
    return ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS16,
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )


def package(name: str, folder: Path) -> Path:
    """The package of a network of NETWORKS in a folder, made where it is not there yet."""
    path = folder / f"feed-forward-{name}.mlpackage"
    if not path.exists():
        converted(feed_forward(NETWORKS[name], seed=1000)).save(str(path))
    return path


def single_package(rows: int, dtype: str, folder: Path) -> Path:
    """The package of one weight of so many rows of 20,000, made where it is not there yet."""
    path = folder / f"single-{rows}-{dtype}.mlpackage"
    if not path.exists():
        weight = np.concatenate(
            [layered_weight(n, min(1000, rows - n), 20_000) for n in range(0, rows, 1000)]
        )
        converted(single_linear(weight.astype(dtype))).save(str(path))
    return path


def small_package(count: int, folder: Path) -> Path:
    """The package of so many small linear layers in a folder, made where it is not there yet."""
    path = folder / f"linears-{count}.mlpackage"
    if not path.exists():
        converted(small_linears(count)).save(str(path))
    return path


def neural_network(name: str, folder: Path) -> Path:
    """The neural network of a network of NETWORKS in a folder, made where it is not there yet."""
    path = folder / f"feed-forward-{name}.mlmodel"
    if not path.exists():
        ct = coremltools()
        ct.utils.save_spec(_feed_forward_layers(NETWORKS[name], seed=1000), str(path))
    return path


def _feed_forward_layers(network: Network, seed: int) -> Any:
    """The spec of a neural network of feed-forward blocks, fp32, each product with a bias."""
    coremltools()
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    width, hidden, source = network.width, network.hidden, "x"
    made = NeuralNetworkBuilder([("x", datatypes.Array(width))], [("y", datatypes.Array(width))])

    def product(name: str, number: int, inputs: int, outputs: int, source: str) -> str:
        weight = layered_fp32(seed + number, outputs, inputs)
        bias = layered_fp32(seed - 1 - number, outputs, 1).reshape(-1)
        made.add_inner_product(name, weight, bias, inputs, outputs, True, source, name)
        return name

    for block in range(network.blocks):
        up = product(f"up_{block}", 2 * block, width, hidden, source)
        made.add_activation(f"relu_{block}", "RELU", up, f"relu_{block}")
        down = product(f"down_{block}", 2 * block + 1, hidden, width, f"relu_{block}")
        result = "y" if block == network.blocks - 1 else f"sum_{block}"
        made.add_elementwise(f"sum_{block}", [source, down], result, "ADD")
        source = result
    return made.spec


@contextmanager
def model_folder(kept: Path | None) -> Iterator[Path]:
    """The folder for packages: the caller's, or a temporary one that is removed afterwards."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with TemporaryDirectory(prefix="milpass-benchmarks-") as temporary:
        yield Path(temporary)
