"""The package target: an `.mlpackage` read and written through its protobuf and its mapped weight files."""
