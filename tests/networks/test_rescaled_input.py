"""Networks that take the input as a camera gives it."""

import numpy as np
import pytest
from blocks import conv
from fastdw.network._graph import GraphBuilder, TensorSpec
from fastdw.network._network import Network
from support import rng, signed
from test_network import close, model, two_by_two


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_camera_frames(channels_first, reverse):
    graph = model()
    if channels_first:
        b = GraphBuilder()
        x = b.add("transpose", b.input("x", (3, 8, 8)), axes=(1, 2, 0))
        graph = b.build(conv(b, x, 4, 3))
    net = Network._from_graph(graph)
    scale, offset = np.array([0.5, 1.0, 2.0]) / 127, np.array([-1.0, 0.5, 0.0])
    frames = rng(1).integers(0, 256, (2, 8, 8, 3), np.uint8)
    camera = net.rescale_input(scale, offset, "uint8", reverse_channels=reverse)
    assert camera.inputs == (TensorSpec("x", (None, 8, 8, 3), "uint8"),)
    image = (frames[..., ::-1] if reverse else frames) * scale + offset
    x = image.transpose(0, 3, 1, 2) if channels_first else image
    close(camera(frames), net(x.astype(np.float32)))
    labels = [step["step"].split()[0] for step in camera.summary("dict")["steps"]]
    assert labels[:2] == ["affine", "conv2d"]
    with pytest.raises(TypeError, match=r"native uint8, .* become integers by fastdw\.quantize"):
        camera(frames.astype(np.float32))
    with pytest.raises(TypeError, match=r"make it one with np.asarray\(x, np.uint8\)"):
        camera(frames.tolist())


def test_a_rescaled_float_image():
    net = Network._from_graph(model()).rescale_input(2.0, 1)
    x = signed(rng(1), (8, 8, 3))
    close(net(x), Network._from_graph(model())(2 * x + 1))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "word"),
    [
        (("1",), {}, TypeError, "scale"),
        ((np.ones(4),), {}, ValueError, "scale"),
        ((1.0, np.nan), {}, ValueError, "offset"),
        ((1e39,), {}, ValueError, "scale must be finite in float32"),
        ((1.0, np.array([0, -1e300, 0])), {}, ValueError, "offset must be finite in float32"),
        ((1.0, 0.0, "int8"), {}, ValueError, "dtype"),
        ((1.0, 0.0, 3), {}, TypeError, "dtype"),
        ((1.0,), {"reverse_channels": 1}, TypeError, "reverse_channels"),
    ],
)
def test_refused_rescaling(arguments, options, error, word):
    with pytest.raises(error, match=word):
        Network._from_graph(model()).rescale_input(*arguments, **options)


def test_only_one_image_is_rescaled():
    with pytest.raises(ValueError, match="one image"):
        two_by_two().rescale_input(1.0)
