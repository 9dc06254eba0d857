"""The benchmarks of docs/reference/performance.md. Not needed to run the project."""
