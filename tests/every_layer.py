"""A neural network with a layer of each type that holds weights."""

from __future__ import annotations

from typing import Any

from tests.networks import add, add_convolution, add_product, fill, network_of, new_model


def lstm(weights: Any) -> None:
    for gate in ("inputGate", "forgetGate", "blockInput", "outputGate"):
        fill(getattr(weights, f"{gate}WeightMatrix"), 5, 7)
        fill(getattr(weights, f"{gate}RecursionMatrix"), 5, 5)
        fill(getattr(weights, f"{gate}BiasVector"), 5)
    for gate in ("inputGate", "forgetGate", "outputGate"):
        fill(getattr(weights, f"{gate}PeepholeVector"), 5)


def every_layer() -> Any:
    """A network with a layer of each type that holds weights."""
    model = new_model(version=5)
    network = network_of(model)
    add_convolution(network, "conv", "x", "a")
    add_convolution(network, "grouped", "x", "a", nGroups=2)
    add_convolution(network, "deconv", "x", "a", isDeconvolution=True)
    add_convolution(network, "deconv_grouped", "x", "a", isDeconvolution=True, nGroups=3)
    cube = add(network, "convolution3d", "conv3d", "x", "a")
    cube.outputChannels, cube.inputChannels, cube.nGroups, cube.hasBias = 6, 4, 2, True
    cube.kernelDepth, cube.kernelHeight, cube.kernelWidth = 3, 2, 1
    fill(cube.weights, 6, 2, 3, 2, 1)
    fill(cube.bias, 6)
    add_product(network, "fc", "x", "a")
    matmul = add(network, "batchedMatmul", "matmul", "x", "a")
    matmul.weightMatrixFirstDimension, matmul.weightMatrixSecondDimension, matmul.hasBias = 4, 6, True
    fill(matmul.weights, 6, 4)
    fill(matmul.bias, 6)
    embedding = add(network, "embedding", "emb", "x", "a")
    embedding.inputDim, embedding.outputChannels, embedding.hasBias = 30, 4, True
    fill(embedding.weights, 4, 30)
    fill(embedding.bias, 4)
    embedding = add(network, "embeddingND", "emb_nd", "x", "a")
    embedding.vocabSize, embedding.embeddingSize = 20, 3
    fill(embedding.weights, 3, 20)
    norm = add(network, "batchnorm", "bn", "x", "a")
    norm.channels = 9
    for name in ("gamma", "beta", "mean", "variance"):
        fill(getattr(norm, name), 9)
    norm = add(network, "layerNormalization", "ln", "x", "a")
    norm.normalizedShape.extend([2, 5])
    fill(norm.gamma, 10)
    fill(norm.beta, 10)
    scale = add(network, "scale", "scale", "x", "a")
    scale.shapeScale.extend([4, 1, 3])
    scale.shapeBias.extend([4])
    scale.hasBias = True
    fill(scale.scale, 12)
    fill(scale.bias, 4)
    bias = add(network, "bias", "bias", "x", "a")
    bias.shape.extend([4])
    fill(bias.bias, 4)
    rnn = add(network, "simpleRecurrent", "rnn", "x", "a")
    gru = add(network, "gru", "gru", "x", "a")
    one, two = (add(network, kind, kind, "x", "a") for kind in ("uniDirectionalLSTM", "biDirectionalLSTM"))
    for layer in (rnn, gru, one, two):
        layer.inputVectorSize, layer.outputVectorSize = 7, 5
    rnn.hasBiasVector = gru.hasBiasVectors = True
    fill(rnn.weightMatrix, 5, 7)
    fill(rnn.recursionMatrix, 5, 5)
    fill(rnn.biasVector, 5)
    for gate in ("updateGate", "resetGate", "outputGate"):
        fill(getattr(gru, f"{gate}WeightMatrix"), 5, 7)
        fill(getattr(gru, f"{gate}RecursionMatrix"), 5, 5)
        fill(getattr(gru, f"{gate}BiasVector"), 5)
    for layer in (one, two):
        layer.params.hasBiasVectors = layer.params.hasPeepholeVectors = True
    lstm(one.weightParams)
    for _ in range(2):
        lstm(two.weightParams.add())
    fill(add(network, "activation", "prelu", "x", "a").PReLU.alpha, 6)
    softplus = add(network, "activation", "softplus", "x", "a").parametricSoftplus
    fill(softplus.alpha, 6)
    fill(softplus.beta, 6)
    constant = add(network, "loadConstantND", "const", "", "k")
    constant.shape.extend([3, 4])
    fill(constant.data, 3, 4)
    constant = add(network, "loadConstant", "const_3d", "", "k3")
    constant.shape.extend([1, 3, 4])
    fill(constant.data, 3, 4)
    add(network, "batchedMatmul", "takes", "x k", "b")
    add(network, "add", "adds", "b k3", "y")
    fill(add(network, "custom", "custom", "x", "y").weights.add(), 3)
    return model
