"""What a compressed weight is: a chain of encodings that ends in `Dense`."""

from milpass.encodings.base import Encoding
from milpass.encodings.dense import Dense
from milpass.encodings.indices import Indices
from milpass.encodings.lut import Lut

__all__ = ["Dense", "Encoding", "Indices", "Lut"]
