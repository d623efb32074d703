"""The fixed cases whose results are the same bits on every SIMD instruction set.

``python tests/bits.py`` computes them on the active instruction set and stores the hashes in
``bits.json``: do so only when the arithmetic is meant to change, and say why in the commit.
"""

import hashlib
import json
import pathlib

import fastdw
import numpy as np
from support import CURVES, batch_norm, rng, signed

STORED = pathlib.Path(__file__).with_name("bits.json")


def _curve(activation):
    """A wide range of values and the special ones, through a 1×1 convolution."""
    g = rng(1)
    x = np.ldexp(signed(g, (4, 16, 16, 37)), g.integers(-20, 8, (4, 16, 16, 37)).astype(np.intc))
    x.flat[:8] = np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40, -1e-45, -0.0
    if activation == "prelu":
        activation = ("prelu", signed(g, 37))
    return fastdw.depthwise_conv2d(x, np.ones((1, 1, 37), np.float32), activation=activation)


def _depthwise(size, channels, kernel, multiplier, seed, **options):
    g = rng(seed)
    x = signed(g, (2, size, size + 3, channels))
    taps = signed(g, (*kernel, channels, multiplier))
    bias = signed(g, channels * multiplier)
    normal = fastdw.BatchNorm(*batch_norm(g, channels * multiplier))
    return fastdw.depthwise_conv2d(x, taps, bias=bias, batch_norm=normal, **options)


def _pointwise(size, channels, filters, seed, **options):
    g = rng(seed)
    x, kernel = signed(g, (2, size, size + 3, channels)), signed(g, (channels, filters))
    normal = fastdw.BatchNorm(*batch_norm(g, filters))
    residual = signed(g, (2, size, size + 3, filters))
    return fastdw.pointwise_conv2d(x, kernel, batch_norm=normal, residual=residual, **options)


def _separable(size, channels, filters, seed, **options):
    g = rng(seed)
    x, taps = signed(g, (2, channels, size, size + 3)), signed(g, (3, 3, channels))
    kernel, bias = signed(g, (channels, filters)), signed(g, filters)
    return fastdw.separable_conv2d(
        x, taps, kernel, padding="same", data_format="NCHW", bias=bias,
        depthwise_batch_norm=fastdw.BatchNorm(*batch_norm(g, channels)), **options,
    )  # fmt: skip


CASES = {
    **{f"curve {curve}": lambda curve=curve: _curve(curve) for curve in [*CURVES, "prelu"]},
    "depthwise 3x3": lambda: _depthwise(14, 72, (3, 3), 1, 2, padding="same"),
    "depthwise 3x3 stride 2": lambda: _depthwise(29, 24, (3, 3), 1, 3, strides=2),
    "depthwise 5x5": lambda: _depthwise(15, 33, (5, 5), 1, 4, padding="same", activation="relu"),
    "depthwise 5x5 stride 2": lambda: _depthwise(28, 11, (5, 5), 1, 5, strides=2, padding="same"),
    "depthwise 7x7": lambda: _depthwise(12, 40, (7, 7), 1, 6, padding="same", activation="gelu"),
    "depthwise 7x7 stride 2": lambda: _depthwise(21, 9, (7, 7), 1, 7, strides=2, padding=3),
    "depthwise 4x6 dilated": lambda: _depthwise(17, 19, (4, 6), 1, 8, dilation_rate=(2, 3)),
    "depthwise multiplier 3": lambda: _depthwise(9, 21, (3, 3), 3, 9, padding="same_lower"),
    "pointwise": lambda: _pointwise(14, 88, 65, 10, activation="relu6"),
    "pointwise deep": lambda: _pointwise(7, 728, 200, 11, activation="hard_swish"),
    "separable": lambda: _separable(28, 32, 72, 12, activation="swish"),
    "separable stride 2": lambda: _separable(23, 44, 17, 13, strides=2, pre_activation="relu"),
    "separable late": lambda: _separable(7, 200, 184, 14, depthwise_activation="relu6"),
}  # fmt: skip


def digest(case):
    """SHA-256 of a case's bytes, all zeros made +0 and all NaN made one."""
    y = CASES[case]() + np.float32(0)
    y[np.isnan(y)] = np.nan
    return hashlib.sha256(y.astype("<f4").tobytes()).hexdigest()


if __name__ == "__main__":
    if fastdw.show_config(mode="dict")["isas"]["active"] == "scalar":
        message = "The scalar kernels round otherwise: run this with a SIMD set."
        raise SystemExit(message)
    STORED.write_text(json.dumps({case: digest(case) for case in CASES}, indent=2) + "\n")
