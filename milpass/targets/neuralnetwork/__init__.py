"""The target of neural networks: an `.mlmodel` read and written through its protobuf."""

from milpass.targets.neuralnetwork.model import NeuralNetwork

__all__ = ["NeuralNetwork"]
