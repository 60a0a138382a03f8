"""Which fields of which layers hold weights: the only table of it.

A path leads from a layer's own parameters to a `WeightParams` message; `[]` stands for each element of a
repeated field.  Shapes are functions of the layer's parameters; None: as many as are stored, along one axis.
Source: the comments of NeuralNetwork.proto in Core ML's specification.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

from attrs import frozen

from milpass.roles import Axes

Shape: TypeAlias = tuple[int, ...]


def _no_axes(parameters: Any) -> Axes | None:
    return None


def _rows(parameters: Any) -> Axes | None:
    return 0, 1


def _always(parameters: Any) -> bool:
    return True


@frozen
class Field:
    """One field that holds weights: its path, shape, role, the axes of its output and input channels.

    `used` tells whether the layer reads it; `barred` is why nothing compressed may stand there.
    """

    path: str
    shape: Callable[[Any], Shape] | None
    role: str | None
    axes: Callable[[Any], Axes | None] = _no_axes
    used: Callable[[Any], bool] = _always
    barred: str | None = None


def _lengths(*names: str) -> Callable[[Any], Shape]:
    """A shape of lengths that stand in fields of their own."""
    return lambda parameters: tuple(int(getattr(parameters, name)) for name in names)


def _listed(name: str) -> Callable[[Any], Shape]:
    """A shape that stands in one repeated field."""
    return lambda parameters: tuple(map(int, getattr(parameters, name))) or (1,)


def _flag(path: str) -> Callable[[Any], bool]:
    """Whether a field, or one of a nested message, is set."""
    *outer, name = path.split(".")

    def is_set(parameters: Any) -> bool:
        for each in outer:
            parameters = getattr(parameters, each)
        return bool(getattr(parameters, name))

    return is_set


def _kernel(parameters: Any) -> Shape:
    """[C_out, C_in / groups, H, W]; of a deconvolution [C_in, C_out / groups, H, W]."""
    size = tuple(map(int, parameters.kernelSize)) or (3, 3)
    return _in_groups(parameters, int(parameters.kernelChannels), size)


def _kernel_3d(parameters: Any) -> Shape:
    """[C_out, C_in / groups, D, H, W]; of a deconvolution [C_in, C_out / groups, D, H, W]."""
    channels, groups = int(parameters.inputChannels), max(int(parameters.nGroups), 1)
    size = (parameters.kernelDepth, parameters.kernelHeight, parameters.kernelWidth)
    kernel_channels = channels if parameters.isDeconvolution else channels // groups
    return _in_groups(parameters, kernel_channels, tuple(map(int, size)))


def _in_groups(parameters: Any, kernel_channels: int, size: Shape) -> Shape:
    outputs = int(parameters.outputChannels)
    if parameters.isDeconvolution:
        return (kernel_channels, outputs // max(int(parameters.nGroups), 1), *size)
    return (outputs, kernel_channels, *size)


def _kernel_axes(parameters: Any) -> Axes | None:
    """None for a deconvolution in groups, whose output channels lie along no single axis."""
    if not parameters.isDeconvolution:
        return 0, 1
    return None if parameters.nGroups > 1 else (1, 0)


def _scaled(name: str) -> Callable[[Any], Shape]:
    """The elements of a shape along one axis: Core ML knows one scale for all of them."""
    return lambda parameters: (prod(map(int, getattr(parameters, name))),)


def _product(weights: Callable[[Any], Shape], outputs: str, role: str = "weight") -> tuple[Field, ...]:
    """A matrix and a bias."""
    bias = Field("bias", _lengths(outputs), "bias", used=_flag("hasBias"))
    return (Field("weights", weights, role, _rows), bias)


def _convolution(kernel: Callable[[Any], Shape]) -> tuple[Field, ...]:
    bias = Field("bias", _lengths("outputChannels"), "bias", used=_flag("hasBias"))
    return (Field("weights", kernel, "weight", _kernel_axes), bias)


_UNCOUNTED = "its layer does not say how many there are, which packed numbers would not tell"


def _activation(path: str = "") -> tuple[Field, ...]:
    """The slopes of parametric activations."""
    names = ("PReLU.alpha", "parametricSoftplus.alpha", "parametricSoftplus.beta")
    return tuple(Field(f"{path}{name}", None, "slope", barred=_UNCOUNTED) for name in names)


_INPUT = _lengths("outputVectorSize", "inputVectorSize")
_RECURSION = _lengths("outputVectorSize", "outputVectorSize")
_VECTOR = _lengths("outputVectorSize")


def _gru() -> tuple[Field, ...]:
    gates = ("updateGate", "resetGate", "outputGate")
    return (
        *(Field(f"{gate}WeightMatrix", _INPUT, "weight", _rows) for gate in gates),
        *(Field(f"{gate}RecursionMatrix", _RECURSION, "weight", _rows) for gate in gates),
        *(Field(f"{gate}BiasVector", _VECTOR, "bias", used=_flag("hasBiasVectors")) for gate in gates),
    )


def _lstm(path: str) -> tuple[Field, ...]:
    gates = ("inputGate", "forgetGate", "blockInput", "outputGate")
    biases, peepholes = _flag("params.hasBiasVectors"), _flag("params.hasPeepholeVectors")
    return (
        *(Field(f"{path}.{gate}WeightMatrix", _INPUT, "weight", _rows) for gate in gates),
        *(Field(f"{path}.{gate}RecursionMatrix", _RECURSION, "weight", _rows) for gate in gates),
        *(Field(f"{path}.{gate}BiasVector", _VECTOR, "bias", used=biases) for gate in gates),
        *(
            Field(f"{path}.{gate}PeepholeVector", _VECTOR, "bias", used=peepholes)
            for gate in ("inputGate", "forgetGate", "outputGate")
        ),
    )


_NORM = _lengths("channels")

# layer type -> the fields that hold weights
TABLE: dict[str, tuple[Field, ...]] = {
    "convolution": _convolution(_kernel),
    "convolution3d": _convolution(_kernel_3d),
    "innerProduct": _product(_lengths("outputChannels", "inputChannels"), "outputChannels"),
    "batchedMatmul": _product(
        _lengths("weightMatrixSecondDimension", "weightMatrixFirstDimension"), "weightMatrixSecondDimension"
    ),
    "embedding": _product(_lengths("outputChannels", "inputDim"), "outputChannels", "embedding"),
    "embeddingND": _product(_lengths("embeddingSize", "vocabSize"), "embeddingSize", "embedding"),
    "batchnorm": tuple(Field(name, _NORM, "norm") for name in ("gamma", "beta", "mean", "variance")),
    "layerNormalization": tuple(
        Field(name, _scaled("normalizedShape"), "norm") for name in ("gamma", "beta")
    ),
    "scale": (
        Field("scale", _scaled("shapeScale"), "norm"),
        Field("bias", _scaled("shapeBias"), "bias", used=_flag("hasBias")),
    ),
    "bias": (Field("bias", _scaled("shape"), "bias"),),
    "loadConstant": (Field("data", _listed("shape"), None),),
    "loadConstantND": (Field("data", _listed("shape"), None),),
    "simpleRecurrent": (
        Field("weightMatrix", _INPUT, "weight", _rows),
        Field("recursionMatrix", _RECURSION, "weight", _rows),
        Field("biasVector", _VECTOR, "bias", used=_flag("hasBiasVector")),
        *_activation("activation."),
    ),
    "gru": (*_gru(), *_activation("activations[].")),
    "uniDirectionalLSTM": (*_lstm("weightParams"), *_activation("activations[].")),
    "biDirectionalLSTM": (
        *_lstm("weightParams[]"),
        *_activation("activationsForwardLSTM[]."),
        *_activation("activationsBackwardLSTM[]."),
    ),
    "activation": _activation(),
    "custom": (Field("weights[]", None, None, barred="the code of a custom layer reads it"),),
}

# Layers that only hand on what they hold: whoever takes it reads it.
CONSTANTS = frozenset({"loadConstant", "loadConstantND"})

# (layer type, number of the input) -> what it uses a constant for that another layer hands to it
INPUT_ROLES: dict[tuple[str, int], str] = {
    ("convolution", 1): "weight",
    ("batchedMatmul", 0): "weight",
    ("batchedMatmul", 1): "weight",
    ("gather", 0): "embedding",
}

# layer type -> its networks
NESTED: dict[str, tuple[str, ...]] = {
    "branch": ("ifBranch", "elseBranch"),
    "loop": ("conditionNetwork", "bodyNetwork"),
}
