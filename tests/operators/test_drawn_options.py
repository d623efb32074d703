"""Random configurations of every option against the reference."""

import fastdw
import pytest
import support
from hypothesis import given, reject
from hypothesis import strategies as st
from support import assert_within, batch_norm, rng, signed

pytestmark = pytest.mark.emulated

SMALL_PADS = st.tuples(st.integers(0, 9), st.integers(0, 9))
PADDINGS = st.one_of(
    st.sampled_from(["valid", "same", "same_lower", "Same"]),
    st.integers(0, 9),
    SMALL_PADS,
    st.tuples(SMALL_PADS, SMALL_PADS),
)
STEPS = st.one_of(st.integers(1, 4), st.tuples(st.integers(1, 4), st.integers(1, 4)))
ACTIVATIONS = st.sampled_from([*support.CLAMPS, *support.CURVES, "prelu"])
ZERO_STAYS = st.sampled_from([None, "relu", "relu6", "hard_swish", "tanh", ("elu", 0.7), "prelu"])


@st.composite
def configurations(draw):
    """Everything of a separable operator, as its arguments."""
    n, height, width = draw(st.integers(0, 3)), draw(st.integers(1, 14)), draw(st.integers(1, 14))
    channels = draw(st.one_of(st.integers(1, 40), st.sampled_from([64, 72, 88])))
    multiplier, filters = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    kernel = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    data_format = draw(st.sampled_from(["NHWC", "NCHW"]))
    strides, dilation = draw(STEPS), draw(STEPS)
    padding = draw(PADDINGS)
    g = rng(draw(st.integers(0, 2**32)))

    shape = (height, width, channels) if data_format == "NHWC" else (channels, height, width)
    arguments = {
        "x": signed(g, (n, *shape) if draw(st.booleans()) else shape),
        "depthwise_kernel": signed(g, (*kernel, channels, multiplier)),
        "pointwise_kernel": signed(g, (channels * multiplier, filters)),
        "strides": strides,
        "padding": padding,
        "dilation_rate": dilation,
        "data_format": data_format,
    }

    def epilogue(prefix, size):
        chosen = {}
        if draw(st.booleans()):
            chosen[f"{prefix}bias"] = signed(g, size)
        if draw(st.booleans()):
            chosen[f"{prefix}batch_norm"] = batch_norm(g, size)
        activation = draw(ACTIVATIONS)
        chosen[f"{prefix}activation"] = with_slopes(activation, g, size)
        return chosen

    arguments |= epilogue("depthwise_", channels * multiplier) | epilogue("", filters)
    arguments["pre_activation"] = with_slopes(draw(ZERO_STAYS), g, channels)
    arguments["residual"] = g if draw(st.booleans()) else None
    return arguments


def with_slopes(activation, generator, channels):
    return ("prelu", signed(generator, channels)) if activation == "prelu" else activation


def folded(arguments):
    """The arguments with BatchNorm as the library takes it."""
    return {
        name: fastdw.BatchNorm(*value) if name.endswith("batch_norm") and value else value
        for name, value in arguments.items()
    }


def output_shape(arguments):
    """Of the separable operator; rejects the example where it would be empty."""
    names = ("strides", "padding", "data_format", "dilation_rate")
    layer = fastdw.SeparableConv2D(
        arguments["depthwise_kernel"],
        arguments["pointwise_kernel"],
        **{name: arguments[name] for name in names},
    )
    try:
        return layer.output_shape(arguments["x"].shape)
    except ValueError:
        with pytest.raises(ValueError, match="Computed output size"):
            layer(arguments["x"])
        reject()


@given(arguments=configurations(), num_threads=st.integers(1, 3))
def test_any_configuration(forced_isa, arguments, num_threads):
    shape = output_shape(arguments)
    if arguments["residual"] is not None:
        arguments["residual"] = signed(arguments["residual"], shape)
    got = fastdw.separable_conv2d(**folded(arguments), num_threads=num_threads)
    assert got.shape == shape
    assert_within(got, support.separable(**arguments))

    names = ("x", "depthwise_kernel", "strides", "padding", "dilation_rate", "data_format")
    half = {name: arguments[name] for name in names}
    for name in ("bias", "batch_norm", "activation"):
        half[name] = arguments.get(f"depthwise_{name}")
    got = fastdw.depthwise_conv2d(**folded(half), num_threads=num_threads)
    assert_within(got, support.depthwise(**half))


@given(arguments=configurations())
def test_fused_is_unfused(forced_isa, arguments):
    """Up to the bound: the two may take other kernels."""
    shape = output_shape(arguments)
    residual = signed(rng(1), shape)
    arguments |= {"pre_activation": None, "residual": residual}
    options = folded(arguments)
    fused = fastdw.separable_conv2d(**options)
    geometry = ("strides", "padding", "dilation_rate", "data_format")
    middle = fastdw.depthwise_conv2d(
        options["x"],
        options["depthwise_kernel"],
        **{name: options[name] for name in geometry},
        bias=options.get("depthwise_bias"),
        batch_norm=options.get("depthwise_batch_norm"),
        activation=options["depthwise_activation"],
    )
    unfused = fastdw.pointwise_conv2d(
        middle,
        options["pointwise_kernel"],
        options["data_format"],
        residual=residual,
        **{name: options.get(name) for name in ("bias", "batch_norm", "activation")},
    )
    bound = support.separable(**arguments)
    assert_within(fused, bound)
    assert_within(unfused, bound)
