"""Layers of Keras 2, Keras 3 and PyTorch as arguments of fastdw, read by their attributes.

No framework is imported. A layer that has no equal here is refused with the reason.
"""
