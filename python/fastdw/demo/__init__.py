"""A small network that reads handwritten digits with fastdw: ``python -m fastdw.demo``."""
