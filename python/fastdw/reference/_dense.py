"""Convolutions that mix all channels of a window, and their transpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._activation import activate
from ._arguments import F64, as_images, as_pair, as_real, as_result, require, window_pads, windows
from ._convolution import added, normalised


@np.errstate(all="ignore")
def conv2d(
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    data_format: str = "NHWC",
    dilation_rate: int | Sequence[int] = 1,
    *,
    groups: int = 1,
    bias: npt.ArrayLike | None = None,
    batch_norm: Any = None,
    activation: Any = None,
    residual: npt.ArrayLike | None = None,
    out: npt.NDArray[Any] | None = None,
    num_threads: int | None = None,
) -> npt.NDArray[Any]:
    """Convolve, mixing all channels, or those of each group.

    After the sum come the bias, BatchNorm, the residual and the activation.

    Parameters
    ----------
    x : array_like, (N, H, W, Cin) or (H, W, Cin); NCHW: (N, Cin, H, W) or (Cin, H, W)
        The image or images.
    kernel : array_like, (kh, kw, Cin/groups, F)
        The filters; those of a group are neighbours.
    groups : int
        Input and output channels are cut into so many equal parts; each output part sees the input
        part of its number.
    strides, dilation_rate, padding, data_format, batch_norm, out, num_threads
        As in `depthwise_conv2d`.
    bias, residual, activation
        As in `pointwise_conv2d`.

    Returns
    -------
    ndarray, (N, OH, OW, F) or as `x`
        float64, unless `out` is given.

    Raises
    ------
    ValueError
        For shapes that do not fit, an empty output, or an unknown name.
    """
    images, taps = as_images(x, data_format), _kernel(kernel)
    steps = as_pair(strides, "strides", 1), as_pair(dilation_rate, "dilation_rate", 1)
    n, height, width, channels = images.shape
    kh, kw, depth, filters = taps.shape
    fits = groups >= 1 and depth * groups == channels and filters % groups == 0
    require(fits, f"kernel {taps.shape} is not for {channels} channels in {groups} groups")
    pads = window_pads(images, (kh, kw), *steps, padding, data_format)
    oh, rows = windows(height, kh, steps[0][0], steps[1][0], pads[0])
    ow, columns = windows(width, kw, steps[0][1], steps[1][1], pads[1])
    parts = np.split(images, groups, axis=3)
    matrices = np.split(taps, groups, axis=3)
    y = np.zeros((n, oh, ow, filters))
    sums = np.split(y, groups, axis=3)
    for part, matrix, total in zip(parts, matrices, sums, strict=True):
        for di, (rows_out, rows_in) in enumerate(rows):
            for dj, (columns_out, columns_in) in enumerate(columns):
                total[:, rows_out, columns_out] += part[:, rows_in, columns_in] @ matrix[di, dj]
    y = added(normalised(y, bias, batch_norm), residual, data_format)
    return as_result(activate(y, activation), x, data_format, out)


@np.errstate(all="ignore")
def conv2d_transpose(
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    strides: int | Sequence[int] = 1,
    padding: Any = "valid",
    data_format: str = "NHWC",
    *,
    output_padding: int | Sequence[int] = 0,
    bias: npt.ArrayLike | None = None,
    activation: Any = None,
) -> npt.NDArray[Any]:
    """Spread every pixel by the kernel: the convolution's matrix, transposed.

    Pixel (i, j) adds ``x[i, j] @ kernel[di, dj]`` to output
    (i·stride + di − top, j·stride + dj − left); what falls outside is dropped. Bias and
    activation follow.

    Parameters
    ----------
    x : array_like, (N, H, W, Cin) or (H, W, Cin); NCHW: (N, Cin, H, W) or (Cin, H, W)
        The image or images.
    kernel : array_like, (kh, kw, Cin, F)
        Keras and TFLite store it with F before Cin, PyTorch and ONNX as (Cin, F, kh, kw).
    padding : "valid", int, (int, int) or pairs
        Rows and columns cut off the output: ((top, bottom), (left, right)).
    output_padding : int or (int, int)
        Rows and columns appended at the end: the output has
        ``(size − 1)·stride + k + output_padding − before − after`` of them.
    strides, data_format, bias, activation
        As in `conv2d`; so are the errors.

    Returns
    -------
    ndarray, (N, OH, OW, F) or as `x`
        float64.
    """
    images, taps = as_images(x, data_format), _kernel(kernel)
    require(taps.shape[2] == images.shape[3], f"kernel is for {taps.shape[2]} channels")
    require(padding not in ("same", "same_lower"), f"padding is unknown: {padding!r}")
    (sh, sw), (more_rows, more_columns) = (
        as_pair(strides, "strides", 1),
        as_pair(output_padding, "output_padding", 0),
    )
    n, height, width, _ = images.shape
    kh, kw, _, filters = taps.shape
    pads = window_pads(images, (kh, kw), (sh, sw), (1, 1), padding, data_format)
    (top, bottom), (left, right) = pads
    full_height = (height - 1) * sh + kh + more_rows
    full_width = (width - 1) * sw + kw + more_columns
    y = np.zeros((n, full_height, full_width, filters))
    for di in range(kh):
        for dj in range(kw):
            rows = slice(di, di + (height - 1) * sh + 1, sh)
            columns = slice(dj, dj + (width - 1) * sw + 1, sw)
            y[:, rows, columns] += images @ taps[di, dj]
    y = y[:, top : full_height - bottom, left : full_width - right]
    require(y.size > 0, "Computed output size would be zero or negative")
    return as_result(activate(normalised(y, bias, None), activation), x, data_format, None)


def _kernel(kernel: npt.ArrayLike) -> F64:
    taps = as_real(kernel)
    fits = taps.ndim == 4 and taps.size > 0
    require(fits, f"kernel is not 4-D, or empty: {taps.shape}")
    return taps
