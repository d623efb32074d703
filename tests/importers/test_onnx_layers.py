"""ONNX convolutions, pools, resizing and pads."""

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx.reference import ReferenceEvaluator
from onnx_models import (
    IMAGE,
    agrees,
    computed,
    counts,
    imported,
    ints,
    model,
    node,
    weights,
)

# --- convolutions ---

WINDOWS = {
    "plain": {},
    "asymmetric pads": {"pads": [0, 0, 1, 1], "strides": [2, 2]},
    "more asymmetric pads": {"pads": [2, 0, 1, 3], "strides": [1, 2]},
    "same upper": {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    "same lower": {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
    "same, strides 3 and 4": {"auto_pad": "SAME_UPPER", "strides": [3, 4]},
    "valid": {"auto_pad": "VALID", "strides": [2, 1]},
    "dilated": {"dilations": [2, 1], "pads": [2, 1, 2, 1]},
}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("group", "filters"), [(1, 5), (6, 6), (6, 12), (2, 4), (3, 9)])
def test_conv(window, group, filters):
    w, b = weights(3, filters, 6 // group, 3, 2), weights(4, filters)
    conv = node("Conv", "x w b", group=group, **WINDOWS[window])
    graph = agrees(model(conv, w=w, b=b))
    assert counts(graph, "depthwise") == (group == 6)
    assert counts(graph, "transpose") == 2  # of the input and the output


LINE = (2, 6, 9)
ALONG = {
    "plain": {},
    "pads": {"pads": [2, 1], "strides": [2]},
    "same": {"auto_pad": "SAME_LOWER", "strides": [2]},
    "dilated": {"dilations": [3], "pads": [3, 3]},
}


def on_an_image(attributes):
    """The same window in an image of one row."""
    wide = dict(attributes)
    for key in wide.keys() & {"kernel_shape", "strides", "dilations"}:
        wide[key] = [1, *wide[key]]
    if "pads" in wide:
        before, after = wide["pads"]
        wide["pads"] = [0, before, 0, after]
    return wide


@pytest.mark.parametrize("window", ALONG)
@pytest.mark.parametrize(("group", "filters"), [(1, 5), (6, 12), (2, 4)])
def test_conv_along_a_line(window, group, filters):
    w, b = weights(3, filters, 6 // group, 3), weights(4, filters)
    conv = model(node("Conv", "x w b", group=group, **ALONG[window]), LINE, w=w, b=b)
    twin = node("Conv", "x w b", group=group, **on_an_image(ALONG[window]))
    wide = model(twin, (2, 6, 1, 9), w=w[:, :, None], b=b)
    (wanted,) = computed(imported(wide), weights(1, *LINE)[:, :, None])
    agrees(conv, LINE, wanted=[wanted[:, :, 0]])


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pools_along_a_line(op):
    window = {"kernel_shape": [3], "strides": [2], "pads": [1, 0]}
    wide = model(node(op, "x", ceil_mode=1, **on_an_image(window)), (2, 6, 1, 9))
    (wanted,) = computed(imported(wide), weights(1, *LINE)[:, :, None])
    agrees(model(node(op, "x", ceil_mode=1, **window), LINE), LINE, wanted=[wanted[:, :, 0]])


def test_a_gate_along_the_channels():
    nodes = [
        node("GlobalAveragePool", "x", "g"),
        node("Reshape", "g line", "l"),
        node("Conv", "l w", "c", pads=[1, 1]),
        node("Sigmoid", "c", "s"),
        node("Reshape", "s full", "r"),
        node("Mul", "x r"),
    ]
    more = {"line": ints(0, 1, -1), "full": ints(0, -1, 1, 1)}
    agrees(model(nodes, w=weights(3, 1, 1, 3), **more))


def test_attributes_of_another_number_of_axes_are_refused():
    for shape, attributes in ((LINE, {"strides": [1, 1]}), (IMAGE, {"pads": [1, 1]})):
        proto = model(node("Conv", "x w", **attributes), shape, w=weights(1, 4, 6, 3, 3)[..., :1])
        with pytest.raises(ValueError, match="Conv with"):
            imported(proto)
    proto = model(node("Conv", "x w"), (2, 6, 3, 3, 3), w=weights(1, 4, 6, 3, 3))
    with pytest.raises(ValueError, match="Conv on 5 axes"):
        imported(proto)


@pytest.mark.parametrize(
    "window",
    [
        {"strides": [2, 2]},
        {"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 2]},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
        {"dilations": [2, 1]},
    ],
    ids=str,
)
def test_conv_transpose(window):
    w = weights(3, 6, 4, 3, 3)
    agrees(model(node("ConvTranspose", "x w b", **window), w=w, b=weights(4, 4)))


def transposed(x, w, b, group, **more):
    """Group by group: the onnx package's evaluator knows no groups here."""
    parts = []
    for inputs, filters, bias in zip(
        np.split(x, group, 1), np.split(w, group), np.split(b, group), strict=True
    ):
        proto = model(node("ConvTranspose", "x w b", **more), inputs.shape, w=filters, b=bias)
        parts += ReferenceEvaluator(proto).run(None, {"x": inputs})
    return np.concatenate(parts, 1)


@pytest.mark.parametrize("dilations", [[1, 1], [2, 1]])
@pytest.mark.parametrize("group", [2, 3, 6])
def test_conv_transpose_in_groups(group, dilations):
    more = {"pads": [1, 0, 3, 1], "strides": [2, 3], "output_padding": [1, 2]}
    more["dilations"] = dilations
    w, b = weights(3, 6, 2, 3, 2), weights(4, 2 * group)
    wanted = transposed(weights(1, *IMAGE), w, b, group, **more)
    proto = model(node("ConvTranspose", "x w b", group=group, **more), w=w, b=b)
    assert counts(agrees(proto, wanted=[wanted]), "depthwise") == (group == 6)


@pytest.mark.parametrize("group", [1, 2, 6])
def test_conv_transpose_along_a_line(group):
    w, b, more = weights(3, 6, 4, 3), weights(4, 4 * group), {"strides": [2], "pads": [1, 0]}
    wanted = transposed(weights(1, *LINE), w, b, group, **more)
    proto = model(node("ConvTranspose", "x w b", group=group, **more), LINE, w=w, b=b)
    agrees(proto, LINE, wanted=[wanted])


def test_groups_that_do_not_fit_are_refused():
    w = weights(3, 6, 2, 3, 2)
    for group in (0, 4, -2):
        with pytest.raises(ValueError, match=f"ConvTranspose with group={group} of 6 channels"):
            imported(model(node("ConvTranspose", "x w", group=group), w=w))


def test_an_output_shape_cuts_off_the_odd_cell_first():
    w = weights(3, 6, 4, 3, 3)
    shaped, cut = (
        model(node("ConvTranspose", "x w", strides=[2, 2], **more), w=w)
        for more in ({"output_shape": [14, 16]}, {"pads": [1, 1, 0, 0]})
    )
    x = weights(1, *IMAGE)
    agrees(cut)
    assert np.array_equal(computed(imported(shaped), x), computed(imported(cut), x))


def test_batch_norm_after_relu_is_not_folded_into_the_convolution_before_it():
    names = "scale bias mean variance"
    nodes = [
        node("Conv", "x w", "c"),
        node("Relu", "c", "r"),
        node("BatchNormalization", f"r {names}", "y", epsilon=0.25),
    ]
    parts = {name: weights(i, 6) for i, name in enumerate(names.split())}
    parts["variance"] = np.abs(parts["variance"])
    agrees(model(nodes, w=weights(9, 6, 6, 1, 1), **parts))


FUSED = {
    "Relu": ([], lambda v: np.maximum(v, 0)),
    "Sigmoid": ([], lambda v: 1 / (1 + np.exp(-v))),
    "Tanh": ([], np.tanh),
    "LeakyRelu": ([0.25], lambda v: np.where(v < 0, v * np.float32(0.25), v)),
    "Clip": ([-0.5, 0.75], lambda v: np.clip(v, -0.5, 0.75)),
    "HardSigmoid": ([0.2, 0.5], lambda v: np.clip(v * np.float32(0.2) + 0.5, 0, 1)),
}


@pytest.mark.parametrize("activation", FUSED)
def test_fused_conv(activation):
    numbers, function = FUSED[activation]
    w = weights(3, 4, 6, 1, 1)
    plain = computed(imported(model(node("Conv", "x w"), w=w)), weights(1, *IMAGE))
    options = {"activation": activation, "domain": "com.microsoft"}
    if numbers:
        options["activation_params"] = numbers
    fused = model(node("FusedConv", "x w", **options), domains=["com.microsoft"], w=w)
    agrees(fused, wanted=[function(plain[0])])


def test_a_fused_activation_that_is_unknown_is_refused():
    conv = node("FusedConv", "x w", activation="Softplus", domain="com.microsoft")
    proto = model(conv, domains=["com.microsoft"], w=weights(3, 4, 6, 1, 1))
    with pytest.raises(ValueError, match="FusedConv with activation='Softplus'"):
        imported(proto)


# --- pools ---


POOLS = {  # attributes, and the pads that they mean under 2×3 cells on 7×8
    "plain": ({}, (0, 0, 0, 0)),
    "asymmetric pads": ({"pads": [1, 0, 0, 2], "strides": [2, 2]}, (1, 0, 0, 2)),
    "same upper": ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (0, 0, 1, 1)),
    "same lower": ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (1, 1, 0, 0)),
    "same, strides 3 and 4": ({"auto_pad": "SAME_UPPER", "strides": [3, 4]}, (0, 0, 1, 0)),
    "dilated": ({"dilations": [2, 1], "pads": [1, 1, 1, 1]}, (1, 1, 1, 1)),
}


def pooled(x, edges, strides=(1, 1), dilations=(1, 1), **ignored):
    """Lists of the cells of every window of 2×3, beyond the image NaN."""
    padded = np.pad(x, [(0, 0), (0, 0), edges[::2], edges[1::2]], constant_values=np.nan)
    span = dilations[0] + 1, 2 * dilations[1] + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, span, (2, 3))
    windows = windows[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
    return windows.reshape(*windows.shape[:4], 6)


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pool(op, name):
    attributes, pads = POOLS[name]
    cells = pooled(weights(1, *IMAGE), pads, **attributes)
    wanted = (np.nanmax if op == "MaxPool" else np.nanmean)(cells, axis=-1)
    agrees(model(node(op, "x", kernel_shape=[2, 3], **attributes), opset=19), wanted=[wanted])


@pytest.mark.parametrize("count", [0, 1])
def test_padding_counts_where_the_flag_says_so(count):
    pool = node("AveragePool", "x", kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=count)
    x = np.arange(1.0, 5.0, dtype=np.float32).reshape(1, 1, 2, 2)
    first = 0.25 if count else 1.0  # one cell of four
    (y,) = computed(imported(model(pool, x.shape)), x)
    assert y[0, 0, 0, 0] == first
    assert y[0, 0, 1, 1] == 2.5


@pytest.mark.parametrize("count", [0, 1])
def test_what_hangs_over_in_ceil_mode_never_counts(count):
    pool = node(
        "AveragePool",
        "x",
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        ceil_mode=1,
        count_include_pad=count,
    )
    x = np.ones((1, 1, 4, 4), np.float32)
    (y,) = computed(imported(model(pool, x.shape)), x)
    assert y.shape == (1, 1, 3, 3)
    # The last window covers row 3 and the padding; what lies beyond is no cell.
    np.testing.assert_allclose(y[0, 0, 2, 2], 1 / 4 if count else 1)


def test_ceil_mode_makes_no_window_that_begins_in_the_padding():
    pool = node("MaxPool", "x", kernel_shape=[1, 1], strides=[2, 2], ceil_mode=1, pads=[0, 0, 1, 1])
    (y,) = computed(imported(model(pool, (1, 1, 3, 3))), np.ones((1, 1, 3, 3), np.float32))
    assert y.shape == (1, 1, 2, 2)


# --- resizing and pads ---

COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("size", [(14, 16), (3, 5), (10, 1)])
@pytest.mark.parametrize(
    "mode", ["linear", "floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
)
def test_resize(mode, size, coordinates):
    attributes = {"coordinate_transformation_mode": coordinates, "mode": "linear"}
    if mode != "linear":
        attributes |= {"nearest_mode": mode, "mode": "nearest"}
    agrees(model(node("Resize", "x - - s", axes=[2, 3], **attributes), s=ints(*size)))


def test_upsample_of_opset_9():
    x = weights(1, *IMAGE)
    wanted = x.repeat(2, axis=2).repeat(3, axis=3)
    scales = np.float32([1, 1, 2, 3])
    agrees(model(node("Upsample", "x s", mode="nearest"), opset=9, s=scales), wanted=[wanted])


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"mode": "cubic"}, "mode='cubic'"),
        ({"coordinate_transformation_mode": "tf_crop_and_resize"}, "tf_crop_and_resize"),
        ({"mode": "linear", "antialias": 1}, "antialias"),
    ],
)
def test_resizing_of_other_kinds_is_refused(attributes, why):
    with pytest.raises(ValueError, match=f"Resize with .*{why}"):
        imported(model(node("Resize", "x - - s", **attributes), s=ints(2, 6, 9, 9)))


@pytest.mark.parametrize("opset", [9, 13])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_pad(mode, opset):
    pads = [0, 1, 2, 0, 0, 0, 1, 3] if mode == "constant" else [0, 0, 2, 0, 0, 0, 1, 3]
    value = {"constant_values": 0.5} if mode == "constant" else {}
    pairs = list(zip(pads[:4], pads[4:], strict=True))
    wanted = np.pad(weights(1, *IMAGE), pairs, mode, **value)
    if opset < 11:
        more = {"value": 0.5} if value else {}
        proto = model(node("Pad", "x", mode=mode, pads=pads, **more), opset=opset)
    else:
        more = {"k": np.float32(0.5)} if value else {}
        names = "x p k" if value else "x p"
        proto = model(node("Pad", names, mode=mode), opset=opset, p=ints(*pads), **more)
    agrees(proto, wanted=[wanted])
