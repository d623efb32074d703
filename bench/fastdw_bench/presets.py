"""Named sets of layers: tables of fixed sizes, and published networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from .layers import Layer, parse_layer
from .networks import NETWORKS

# The 32 blocks on which the project compares engines. It stays as it is, whatever the presets do.
_BLOCKS32 = """
    v1_1=112x112x32,k3,f64,relu6/relu6
    v1_2=112x112x64,k3,s2,f128,relu6/relu6
    v1_3=56x56x128,k3,f128,relu6/relu6
    v1_4=56x56x128,k3,s2,f256,relu6/relu6
    v1_5=28x28x256,k3,f256,relu6/relu6
    v1_6=28x28x256,k3,s2,f512,relu6/relu6
    v1_7=14x14x512,k3,f512,relu6/relu6
    v1_12=14x14x512,k3,s2,f1024,relu6/relu6
    v1_13=7x7x1024,k3,f1024,relu6/relu6
    v2_1=112x112x32,k3,f16,relu6/linear
    v2_2=112x112x96,k3,s2,f24,relu6/linear
    v2_3=56x56x144,k3,f24,relu6/linear
    v2_4=56x56x144,k3,s2,f32,relu6/linear
    v2_5=28x28x192,k3,f32,relu6/linear
    v2_7=28x28x192,k3,s2,f64,relu6/linear
    v2_8=14x14x384,k3,f64,relu6/linear
    v2_12=14x14x576,k3,f96,relu6/linear
    v2_14=14x14x576,k3,s2,f160,relu6/linear
    v2_15=7x7x960,k3,f160,relu6/linear
    x_1=147x147x64,k3,f128,linear/relu
    x_2=74x74x128,k3,f256,linear/relu
    x_3=37x37x256,k3,f728,linear/relu
    x_4=19x19x728,k3,f728,linear/relu
    x_14=10x10x1536,k3,f2048,linear/relu
    e_k5_1=56x56x144,k5,s2,f40,swish/linear
    e_k5_2=28x28x240,k5,f40,swish/linear
    e_k5_3=14x14x672,k5,f112,swish/linear
    e_k5_4=7x7x1152,k5,f192,swish/linear
    c_1=32x32x3,k3,f64,linear/relu
    c_2=32x32x64,k3,f64,linear/relu
    c_4=16x16x128,k3,f128,linear/relu
    c_6=8x8x256,k3,f256,linear/relu
"""

# The 14 of these on which 8-bit integers are compared.
_QUANTIZED = """
    v1_1 v1_2 v1_3 v1_5 v1_7 v1_12 v1_13 v2_1 v2_2 v2_3 v2_5 v2_8 v2_12 v2_15
"""

# Six separable layers with a 2×2 pooling after every second one.
_CIFAR = """
    c_1=32x32x3,k3,f64,linear/relu
    c_2=32x32x64,k3,f64,linear/relu
    c_3=16x16x64,k3,f128,linear/relu
    c_4=16x16x128,k3,f128,linear/relu
    c_5=8x8x128,k3,f256,linear/relu
    c_6=8x8x256,k3,f256,linear/relu
"""

# Stems, and the second layer of Xception.
_DENSE = """
    d_1=224x224x3,c3,s2,f32,relu6
    d_2=224x224x3,c3,s2,f16,hard_swish
    d_3=149x149x32,c3,pvalid,f64,relu
    d_4=56x56x64,c3,f64,relu
    d_5=32x32x3,c3,f32,relu
"""

_CORNERS = """
    multiplier=56x56x32,k3,m2,f64,relu6/relu6
    multiplier_rgb=96x96x3,k3,s2,m8,f32,relu/relu
    large_kernel=28x28x96,k7,f96,relu/linear
    large_kernel_s2=56x56x48,k7,s2,f64,linear/relu
    huge_kernel=14x14x192,k13,f192,linear/gelu
    even_kernel=32x32x64,k4,s2,f64,relu/relu
    row_kernel=1x512x64,k1x9,f64,relu/relu
    column_kernel=64x64x48,k5x1,f48,relu/relu
    dilated=33x33x256,k3,d2,f256,relu/relu
    dilated_far=33x33x128,k3,d12,f256,relu/relu
    stride_3=57x57x48,k3,s3,f96,relu/relu
    stride_2x1=40x120x32,k3,s2x1,f64,relu/relu
    valid=30x30x64,k3,pvalid,f64,relu/relu
    same_lower=57x57x64,k3,s2,psame_lower,f64,relu/relu
    wide_pad=20x20x64,k3,p4,f64,relu/relu
    odd_channels=27x27x61,k3,f67,relu6/relu6
    one_channel=128x128x1,k3,f8,relu/relu
    few_channels=224x224x8,k3,f8,hard_swish/linear
    one_pixel=1x1x512,k3,f512,relu/relu
    tiny=4x4x16,k3,f16,relu6/linear
    large_image=448x448x16,k3,f16,relu6/linear
    many_channels=4x4x4096,k3,f256,relu/linear
    gelu=28x28x96,k3,f96,gelu/gelu
    alone_depthwise=56x56x128,k3,relu6
    alone_depthwise_s2=112x112x64,k3,s2,relu6
    alone_pointwise=28x28x64,f384,relu6
    matrix_vector=1x1x1280,f1000,linear
"""

# Depthwise layers on one plane, to be held against the plainest of them, which stands first.
_CORNERS28 = """
    plain=28x28x64,k3
    dilation_2=28x28x64,k3,d2
    multiplier_2=28x28x64,k3,m2
    multiplier_4=28x28x64,k3,m4
    kernel_7x7=28x28x64,k7
    kernel_4x4=28x28x64,k4
    kernel_3x1=28x28x64,k3x1
    channels_11=28x28x11,k3
    channels_22=28x28x22,k3
    channels_44=28x28x44,k3
    channels_50=28x28x50,k3
    channels_100=28x28x100,k3
    channels_184=28x28x184,k3
    stride_1x2=28x28x64,k3,s1x2
    uneven_pads=28x28x64,k3,s2,psame_lower
"""

_TABLES = {
    "blocks32": _BLOCKS32,
    "quantized": " ".join(
        line for line in _BLOCKS32.split() if line.partition("=")[0] in _QUANTIZED.split()
    ),
    "cifar": _CIFAR,
    "corners": _CORNERS,
    "corners28": _CORNERS28,
    "dense": _DENSE,
}

PRESETS = (*_TABLES, *NETWORKS)


def preset(name: str, width: float = 1.0, resolution: int | None = None) -> list[Layer]:
    """Return the layers of a preset, equal ones once, with the times that they occur.

    Parameters
    ----------
    name : str
        One of `PRESETS`.
    width : float, default 1
        Factor on the number of channels; networks only.
    resolution : int, optional
        Height and width of the image; networks only. The default is the published one.

    Raises
    ------
    ValueError
        For an unknown name, or a multiplier on a table of fixed sizes.
    """
    if name in NETWORKS:
        network, published = NETWORKS[name]
        return _merged(network(width, resolution or published))
    if name not in _TABLES:
        msg = f"preset {name!r} is unknown: {', '.join(PRESETS)}"
        raise ValueError(msg)
    if width != 1 or resolution:
        msg = f"preset {name!r} is a table of fixed sizes: no width or resolution applies"
        raise ValueError(msg)
    return [parse_layer(line) for line in _TABLES[name].split()]


def _merged(layers: Iterable[Layer]) -> list[Layer]:
    first: dict[Layer, Layer] = {}
    for layer in layers:
        key = dataclasses.replace(layer, name="", times=1)
        seen = first.get(key)
        times = seen.times + layer.times if seen else layer.times
        first[key] = dataclasses.replace(seen or layer, times=times)
    return list(first.values())
