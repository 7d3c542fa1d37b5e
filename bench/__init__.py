"""segbench: a benchmark of segmentation architectures in Keras 3. The Python API is `bench.api`."""

__version__ = "0.1.0"
