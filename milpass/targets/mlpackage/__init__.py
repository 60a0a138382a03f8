"""The package target: an `.mlpackage` read and written through its protobuf and its mapped weight files."""

from milpass.targets.mlpackage.loaded import LoadedModel, is_loaded_model
from milpass.targets.mlpackage.package import Package

__all__ = ["LoadedModel", "Package", "is_loaded_model"]
