"""The target of neural networks: an `.mlmodel`, or an `MLModel`, read and written through its protobuf."""
