"""The best table for large fp32 weights, without sorting them."""
