"""hypothesis strategies: drawn weights, encodings and programs; they need the package hypothesis."""

from milpass.testing.strategies.encodings import encodings
from milpass.testing.strategies.programs import programs
from milpass.testing.strategies.weights import models, readers, weights

__all__ = ["encodings", "models", "programs", "readers", "weights"]
