"""`data_format`: graphs that take and give images in another order of axes."""

import fastdw
import numpy as np
import pytest
from fastdw.network._graph import GraphBuilder, run
from fastdw.network._layout import arranged
from fastdw.network._network import Network
from fastdw.network._record import Input
from support import rng, signed
from test_network import close

LAST, FIRST = (4, 6, 3), (3, 4, 6)


def image_graph(first):
    """Two readers of the image, one of which makes an output and a mean; and a vector."""
    b = GraphBuilder()
    x = inner = b.input("x", FIRST if first else LAST)
    vector = b.input("v", (3,))
    if first:
        inner = b.add("transpose", x, axes=(1, 2, 0))
    kernel = signed(rng(1), (1, 1, 3, 5))
    y = b.add("conv2d", inner, kernel=kernel, name=None if first else "y")
    if first:
        y = b.add("transpose", y, axes=(2, 0, 1), name="y")
    twice = b.add("activation", inner, activation="relu")
    mean = b.add("reshape", b.add("global_pool", twice, function="average"), shape=(3,))
    z = b.add("add", (mean, vector), name="z")
    return b.build([y, z])


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("wanted", [None, "NHWC", "NCHW"])
def test_images_are_taken_and_given_in_the_wanted_order(first, wanted):
    graph = image_graph(first)
    moved = arranged(graph, wanted)
    x, v = signed(rng(2), LAST), signed(rng(3), (3,))
    channels_first = {None: first, "NHWC": False, "NCHW": True}[wanted]
    shape = FIRST if channels_first else LAST
    assert [spec.name for spec in moved.inputs] == ["x", "v"]
    assert moved.inputs[0].shape == shape
    assert moved.inputs[1].shape == (3,)
    assert moved.outputs == ("y", "z")
    y, z = run(moved, [x.transpose(2, 0, 1) if channels_first else x, v])
    wanted_y, wanted_z = run(image_graph(False), [x, v])
    np.testing.assert_array_equal(y.transpose(1, 2, 0) if channels_first else y, wanted_y)
    np.testing.assert_array_equal(z, wanted_z)
    if channels_first == first:
        assert moved is graph or len(moved.nodes) == len(graph.nodes)


def test_the_model_s_own_moves_vanish():
    first, last = (Network._from_graph(image_graph(f)) for f in (True, False))
    moved = Network._from_graph(arranged(image_graph(True), "NHWC"))
    steps = [[s["step"] for s in net.summary("dict")["steps"]] for net in (first, last, moved)]
    assert steps[2] == steps[1]
    assert steps[0].count("transpose") == 2


def test_an_input_that_is_an_output_stays():
    b = GraphBuilder()
    x = b.input("x", LAST)
    graph = b.build([b.add("activation", x, activation="relu"), x])
    (y, same), image = run(graph, [signed(rng(4), LAST)]), signed(rng(4), LAST)
    np.testing.assert_array_equal(same, image)
    with pytest.raises(ValueError, match="data_format must be None where x is an output too"):
        arranged(graph, "NCHW")
    assert y.shape == LAST


def test_pixels_of_a_camera():
    layer = fastdw.PointwiseConv2D(signed(rng(5), (3, 2)))
    x = Input(LAST, "x")
    camera = Network(x, layer(x)).rescale_input(1 / 255, 0.0, "uint8")
    assert len(arranged(camera._graph, "NHWC").nodes) == len(camera._graph.nodes)
    planes = Network._from_graph(arranged(camera._graph, "NCHW"))
    assert planes.inputs[0][1:3] == ((None, *FIRST), "uint8")
    pixels = rng(6).integers(0, 256, (2, *LAST), np.uint8)
    np.testing.assert_array_equal(
        planes(pixels.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1), camera(pixels)
    )


Q = (0.05, 3, "uint8")


def moved_later(activation):
    """An image (C, H, W) of which a step takes number by number before its channels are moved."""
    b = GraphBuilder()
    x = b.input("x", FIRST)
    if activation:
        x = b.add("transpose", b.add("activation", x, activation=activation), axes=(1, 2, 0))
    else:
        x = b.add("transpose", b.add("quantize", x, output=Q), axes=(1, 2, 0))
        x = b.add("dequantize", x, input=Q)
    y = b.add("conv2d", x, kernel=signed(rng(1), (1, 1, 3, 5)))
    return b.build(b.add("transpose", y, axes=(2, 0, 1), name="y"))


@pytest.mark.parametrize("activation", [None, ("clip", -1.0, 1.0)])
def test_what_takes_number_by_number_may_go_before_the_move(activation):
    graph, x = moved_later(activation), 2 * signed(rng(2), (2, *LAST))
    first, last = (Network._from_graph(arranged(graph, f)) for f in ("NCHW", "NHWC"))
    planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    assert first.inputs[0].shape == (None, *FIRST)
    np.testing.assert_array_equal(first(planes).transpose(0, 2, 3, 1), last(x))
    assert "transpose" not in [step["step"] for step in last.summary("dict")["steps"]]
    camera = Network._from_graph(graph).rescale_input(1 / 128, -0.5, "uint8")  # exactly
    pixels = rng(3).integers(0, 256, (2, *LAST), np.uint8)
    np.testing.assert_array_equal(
        camera(pixels), first((pixels * np.float32(1 / 128) - 0.5).transpose(0, 3, 1, 2))
    )


def one_or_the_other(steps, channels=3, filters=5):
    """An image (C, H, W) that goes through steps, and what a convolution makes of that."""
    b = GraphBuilder()
    x = b.input("x", (channels, 4, 6))
    y = steps(b, x)
    channels, height, width = b.shape(y)
    if channels == 1:
        y = b.add("reshape", y, shape=(height, width, 1))
    else:
        y = b.add("transpose", y, axes=(1, 2, 0))
    y = b.add("conv2d", y, kernel=signed(rng(1), (1, 1, channels, filters)))
    if filters == 1:
        return b.build(b.add("reshape", y, shape=(1, height, width), name="y"))
    return b.build(b.add("transpose", y, axes=(2, 0, 1), name="y"))


def halved(b, x):
    width = np.full(6, 0.5, np.float32)
    return b.add("affine", x, scale=width, offset=-width)


STEPS = {
    "none": lambda b, x: x,
    "numbers": halved,
    "itself": lambda b, x: b.add("multiply", [x, halved(b, x)]),
    "pads": lambda b, x: b.add("gather", x, rows=None, columns=(-1, 0, 1, 2, 3), constant=0.0),
    "parts": lambda b, x: b.add("concat", [x, halved(b, x)], axis=0),
    "a part": lambda b, x: b.add(
        "slice", x, begin=(0, 1, 0), size=(b.shape(x)[0], 2, 6), step=(1, 1, 1)
    ),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("filters", [1, 5])
@pytest.mark.parametrize("steps", STEPS)
def test_what_keeps_the_order_may_go_before_the_move(steps, channels, filters):
    graph = one_or_the_other(STEPS[steps], channels, filters)
    first, last = (Network._from_graph(arranged(graph, f)) for f in ("NCHW", "NHWC"))
    plain = Network._from_graph(graph)
    assert [first.inputs, first.outputs] == [plain.inputs, plain.outputs]
    assert last.inputs[0].shape == (None, 4, 6, channels)
    x = signed(rng(2), (2, 4, 6, channels))
    planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(first(planes), plain(planes))
    np.testing.assert_array_equal(last(x), plain(planes).transpose(0, 2, 3, 1))
    camera = plain.rescale_input(1 / 128, -0.5, "uint8", reverse_channels=True)
    pixels = rng(3).integers(0, 256, (2, 4, 6, channels), np.uint8)
    x = pixels[..., ::-1] * np.float32(1 / 128) - np.float32(0.5)
    close(camera(pixels), plain(np.ascontiguousarray(x.transpose(0, 3, 1, 2))))


@pytest.mark.parametrize("one_pixel", [False, True])
def test_a_single_pixel_has_its_channels_first_too(one_pixel):
    b = GraphBuilder()
    x = b.input("x", (3, 1, 1) if one_pixel else FIRST)
    to_last = ("reshape", {"shape": (1, 1, 3)}) if one_pixel else ("transpose", {"axes": (1, 2, 0)})
    y = b.add("global_pool", b.add(to_last[0], x, **to_last[1]), function="average")
    graph = b.build(b.add("reshape", y, shape=(3, 1, 1)))
    first, last = (arranged(graph, order) for order in ("NCHW", "NHWC"))
    x = signed(rng(2), graph.inputs[0].shape)
    (wanted,) = run(graph, [x])
    np.testing.assert_array_equal(run(first, [x])[0], wanted)
    np.testing.assert_array_equal(run(last, [x.transpose(1, 2, 0)])[0], wanted.reshape(1, 1, 3))


def test_channels_that_are_moved_there_and_back_are_last():
    b = GraphBuilder()
    x = b.add("quantize", b.input("x", LAST), output=Q)
    x = b.add("dequantize", b.add("transpose", x, axes=(1, 2, 0)), input=Q)
    x = b.add("transpose", x, axes=(2, 0, 1))
    graph = b.build(b.add("conv2d", x, kernel=signed(rng(1), (1, 1, 3, 5))))
    last, first = (arranged(graph, order) for order in ("NHWC", "NCHW"))
    assert (last.inputs[0].shape, first.inputs[0].shape) == (LAST, FIRST)


def test_slopes_of_channels_stay_where_they_are():
    slopes = ("prelu", signed(rng(7), 6))
    graph = moved_later(slopes)
    x = signed(rng(2), FIRST)
    same = arranged(graph, "NHWC")
    assert same.inputs[0].shape == FIRST  # it is an image (H, W, C) by its slopes
    np.testing.assert_array_equal(run(same, [x])[0], run(graph, [x])[0].transpose(1, 2, 0))


@pytest.mark.parametrize(("value", "error"), [("HWC", ValueError), (3, TypeError)])
def test_other_orders_are_refused(value, error):
    with pytest.raises(error, match="data_format"):
        arranged(image_graph(False), value)
