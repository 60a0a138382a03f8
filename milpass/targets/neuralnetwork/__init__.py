"""The target of neural networks: an `.mlmodel`, or an `MLModel`, read and written through its protobuf."""

from milpass.targets.neuralnetwork.loaded import LoadedNetwork, is_loaded_network
from milpass.targets.neuralnetwork.model import NeuralNetwork

__all__ = ["LoadedNetwork", "NeuralNetwork", "is_loaded_network"]
