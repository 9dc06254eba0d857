"""Benchmarks for the figures in the docs. The project runs without them."""
