"""What a compressed weight is: a chain of encodings that ends in `Dense`."""

from milpass.encodings.affine import Affine
from milpass.encodings.base import Encoding
from milpass.encodings.cast import Cast
from milpass.encodings.dense import Dense
from milpass.encodings.indices import Indices
from milpass.encodings.lut import Lut
from milpass.encodings.sparse import Sparse

__all__ = ["Affine", "Cast", "Dense", "Encoding", "Indices", "Lut", "Sparse"]
