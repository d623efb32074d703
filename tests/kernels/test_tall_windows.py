"""Windows of which even one column does not fit into a buffer: the kernel is cut row by row."""

import fastdw
import numpy as np
import pytest
from fastdw import reference
from support import assert_same, integers, rng


@pytest.mark.parametrize("channels", [1, 3, 17])
@pytest.mark.parametrize(
    ("taps", "dilation"), [((3, 1), 9001), ((2, 2), (18000, 1)), ((5, 3), (5003, 2))]
)
def test_kernels_cut_between_their_rows(forced_isa, channels, taps, dilation):
    g = rng(1)
    height, width = 20_011, 6
    x, kernel = integers(g, (channels, height, width)), integers(g, (*taps, channels))
    bias = integers(g, channels)
    # A row of windows inside, and rows that begin above the image and end below it.
    arguments = (x, kernel, (7001, 1), ((5003, 5003), (1, 1)), "NCHW", dilation)
    for activation in ("relu", None, ("leaky_relu", 0.5)):
        options = {"bias": bias, "activation": activation}
        wanted = reference.depthwise_conv2d(*arguments, **options).astype(np.float32)
        assert_same(fastdw.depthwise_conv2d(*arguments, **options), wanted)
