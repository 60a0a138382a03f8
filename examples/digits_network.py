"""The digit classifier of `digits.mlpackage` as a plain numpy forward pass.

It needs neither Core ML nor torch, so the accuracy of a compressed package can be measured on
any system: read the arrays out of the package, pass them in under their const names.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

CONST_SUFFIX = "_to_fp16"


def probabilities(weights: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Class probabilities, float32 [n, 10], of images [n, 1, 8, 8] with values in 0..1.

    The keys of `weights` are the const names of the package, such as `conv1_weight_to_fp16`.
    """
    values = np.asarray(images, dtype=np.float32)
    values = _relu(_convolution(values, *_layer(weights, "conv1"), stride=1))
    values = _relu(_convolution(values, *_layer(weights, "conv2"), stride=2))
    values = values.reshape(len(values), -1)
    values = _relu(_linear(values, *_layer(weights, "hidden")))
    return _softmax(_linear(values, *_layer(weights, "output")))


def accuracy(weights: dict[str, np.ndarray], images: np.ndarray, labels: np.ndarray) -> float:
    """Share (0..1) of the images [n, 1, 8, 8] whose most probable class equals its label [n]."""
    predicted = probabilities(weights, images).argmax(axis=1)
    return float(np.mean(predicted == labels))


def _layer(weights: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of one layer as float32."""
    weight = weights[f"{name}_weight{CONST_SUFFIX}"]
    bias = weights[f"{name}_bias{CONST_SUFFIX}"]
    return weight.astype(np.float32), bias.astype(np.float32)


def _convolution(values: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """Convolution of [n, in, h, w] with [out, in, 3, 3], one pixel of zeros on every side."""
    padded = np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, weight.shape[2:], axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    sums: np.ndarray = np.tensordot(windows, weight, axes=([1, 4, 5], [1, 2, 3])) + bias
    return sums.transpose(0, 3, 1, 2)


def _linear(values: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Linear layer on [n, in] with a weight of [out, in]."""
    sums: np.ndarray = values @ weight.T + bias
    return sums


def _relu(values: np.ndarray) -> np.ndarray:
    """Negative values become zero."""
    positive: np.ndarray = np.maximum(values, 0)
    return positive


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    # The largest score is taken off first so that exp cannot overflow.
    exponents = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: np.ndarray = exponents / exponents.sum(axis=-1, keepdims=True)
    return shares
