"""Layers that are small networks: Dense, SqueezeExcite, InvertedResidual."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from fastdw import (
    BatchNorm,
    Dense,
    DepthwiseConv2D,
    Input,
    InvertedResidual,
    Network,
    PointwiseConv2D,
    SeparableConv2D,
    SqueezeExcite,
)
from support import U, assert_same, batch_norm, gamma, rng, signed

F32 = np.float32
FORMATS = ["NHWC", "NCHW"]


def gate(data_format="NHWC", **options):
    g = rng(1)
    arrays = signed(g, (24, 6)), signed(g, (6, 24)), signed(g, 6), signed(g, 24)
    first, second, squeeze_bias, bias = arrays
    return SqueezeExcite(
        first, second, data_format, squeeze_bias=squeeze_bias, bias=bias, **options
    )


def kernels():
    g = rng(2)
    return signed(g, (8, 24)), signed(g, (3, 3, 24)), signed(g, (1, 1, 24, 8))


def inverted(data_format="NHWC", strides=1, **options):
    g = rng(3)
    return InvertedResidual(
        *kernels(), strides, "same", data_format,
        expand_batch_norm=BatchNorm(*batch_norm(g, 24)), expand_activation="relu6",
        depthwise_bias=signed(g, 24), depthwise_activation="hard_swish",
        batch_norm=BatchNorm(*batch_norm(g, 8)), activation=("prelu", signed(g, 8)), **options,
    )  # fmt: skip


def dense(**options):
    g = rng(4)
    arrays = {"bias": signed(g, 7), "batch_norm": BatchNorm(*batch_norm(g, 7))}
    return Dense(signed(g, (24, 7)), activation="relu", **arrays | options)


def image(channels, data_format="NHWC", batch=2):
    x = signed(rng(5), (batch, 9, 10, channels))
    return x if data_format == "NHWC" else np.moveaxis(x, -1, 1)


LAYERS = {
    "dense": (dense, signed(rng(5), (2, 24))),
    "gate": (gate, image(24)),
    "gate of planes": (lambda: gate("NCHW"), image(24, "NCHW")),
    "inverted": (inverted, image(8)),
    "inverted of planes": (lambda: inverted("NCHW"), image(8, "NCHW")),
    "inverted with a gate": (lambda: inverted(squeeze_excite=gate()), image(8)),
}


def test_activations_are_properties():
    layer = inverted(squeeze_excite=gate(squeeze_activation="swish"))
    before = layer.expand_activation, layer.depthwise_activation
    assert (*before, layer.activation[0]) == ("relu6", "hard_swish", "prelu")
    gates = layer.squeeze_excite
    assert (gates.squeeze_activation, gates.activation) == ("swish", "sigmoid")


@pytest.mark.parametrize("shape", [(24,), (0, 24), (3, 24), (2, 5, 24), (2, 2, 5, 24), (1, 2) * 2])
def test_dense(forced_isa, shape):
    layer, x = dense(), signed(rng(6), (*shape[:-1], 24))
    weights = layer._weights()
    matrix, bias = (weights[name].astype(float) for name in ("kernel", "bias"))
    wanted = np.maximum(x.astype(float) @ matrix + bias, 0)
    magnitude = np.abs(x).astype(float) @ np.abs(matrix) + np.abs(bias)
    y = layer(x)
    assert y.shape == wanted.shape == layer.output_shape(x.shape)
    assert np.all(np.abs(y - wanted) <= gamma(26) * magnitude)
    assert layer.macs(x.shape) == x.size * 7
    term = signed(rng(7), y.shape)
    plain = Dense(weights["kernel"], bias=weights["bias"])
    assert np.all(np.abs(plain(x, residual=term) - (plain(x) + term)) <= 4 * U * (magnitude + 1))


def test_batch_norm_of_a_dense_layer():
    g = rng(8)
    kernel, (mean_scale, beta, mean, variance, epsilon) = signed(g, (24, 7)), batch_norm(g, 7)
    x = signed(g, (3, 24)).astype(float)
    wanted = (x @ kernel - mean) * mean_scale / np.sqrt(variance + epsilon) + beta
    norm = BatchNorm(mean_scale, beta, mean, variance, epsilon)
    y = Dense(kernel, batch_norm=norm)(x.astype(F32))
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_gate(forced_isa, data_format):
    layer, x = gate(data_format), image(24, data_format)
    weights = {name: array.astype(float) for name, array in layer._weights().items()}
    means = x.astype(float).mean(axis=(1, 2) if data_format == "NHWC" else (2, 3))
    squeezed = np.maximum(means @ weights["squeeze_kernel"] + weights["squeeze_bias"], 0)
    factors = 1 / (1 + np.exp(-squeezed @ weights["excite_kernel"] - weights["bias"]))
    places = (slice(None), None, None) if data_format == "NHWC" else (..., None, None)
    np.testing.assert_allclose(layer(x), x * factors[places], rtol=1e-5, atol=1e-7)
    assert layer.macs(x.shape) == 2 * (24 * 6 + 6 * 24)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("strides", [1, (2, 1)])
@pytest.mark.parametrize("gated", [False, True])
def test_an_inverted_residual_is_its_parts(forced_isa, data_format, strides, gated):
    between = gate(data_format) if gated else None
    layer, x = inverted(data_format, strides, squeeze_excite=between), image(8, data_format)
    weights, settings = layer._weights(), layer._settings
    expand, middle, last = (
        {"bias": weights[f"{p}bias"], "activation": settings[f"{p}activation"]}
        for p in ("expand_", "depthwise_", "")
    )
    first = PointwiseConv2D(weights["expand_kernel"], data_format, **expand)
    second = DepthwiseConv2D(weights["depthwise_kernel"], strides, "same", data_format, **middle)
    third = PointwiseConv2D(weights["pointwise_kernel"], data_format, **last)
    y = second(first(x))
    y = y if between is None else between(y)
    wanted = third(y)
    assert_same(layer(x), wanted)
    assert layer.output_shape(x.shape) == wanted.shape
    assert layer.macs(x.shape) >= first.macs(x.shape) + third.macs(y.shape)
    residual = signed(rng(9), wanted.shape)
    assert_same(layer(x, residual=residual), third(y, residual=residual))
    assert_same(layer(x[0], residual=residual[0]), third(y[0], residual=residual[0]))


@pytest.mark.parametrize("name", LAYERS)
def test_on_symbols_as_on_arrays(name):
    build, x = LAYERS[name]
    layer, symbol = build(), Input(x.shape[1:])
    y = layer(symbol)
    assert y.shape == (None, *layer.output_shape(x.shape)[1:])
    assert_same(Network(symbol, y)(x), layer(x))
    with pytest.raises(TypeError, match="out must be None where x is a Symbol"):
        layer(symbol, out=np.zeros(1, F32))


def test_a_shortcut_of_symbols():
    layer, x, symbol = inverted(), image(8), Input((9, 10, 8))
    assert_same(Network(symbol, layer(symbol, residual=symbol))(x), layer(x, residual=x))
    with pytest.raises(TypeError, match="residual must be a Symbol or None"):
        layer(symbol, residual=x)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_pickles_keep_every_bit(forced_isa, name, copied):
    build, x = LAYERS[name]
    layer = build()
    twin = copied(layer)
    assert_same(twin(x), layer(x))
    assert repr(twin) == repr(layer)
    assert (twin.num_parameters, twin.nbytes) == (layer.num_parameters, layer.nbytes)


@pytest.mark.parametrize("name", LAYERS)
def test_out_threads_and_strides(name):
    build, x = LAYERS[name]
    layer = build()
    wanted = layer(x, num_threads=1)
    out = np.full_like(wanted, np.nan, order="C")
    assert layer(x, out=out, num_threads=3) is out
    assert_same(out, wanted)
    wide = np.full((*wanted.shape[:-1], 2 * wanted.shape[-1]), np.nan, F32)
    layer(x[::-1], out=wide[..., ::2])
    assert_same(wide[..., ::2], wanted[::-1])
    assert np.isnan(wide[..., 1::2]).all()
    kept = out.copy()
    with pytest.raises(ValueError, match="num_threads"):
        layer(x, out=out, num_threads=0)
    with pytest.raises(TypeError, match="x must"):
        layer(x.astype(float), out=out)
    assert_same(out, kept)
    assert layer(x[:0]).shape == (0, *wanted.shape[1:])


def test_out_may_be_the_residual():
    layer, x = inverted(), image(8)
    wanted, out = layer(x, residual=x), x.copy()
    assert_same(layer(x, residual=out, out=out), wanted)
    with pytest.raises(ValueError, match="overlap"):
        layer(x, out=x)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_independent_and_does_not_change(name):
    build, x = LAYERS[name]
    layer = build()
    with pytest.raises(AttributeError, match="immutable"):
        layer.more = 1
    wanted = layer(x)
    for array in layer._weights().values():
        array[...] = np.nan
    assert_same(layer(x), wanted)
    if name == "dense":
        kernel = np.ones((24, 2), F32)
        layer = Dense(kernel)
        kernel[...] = np.nan
        assert np.isfinite(layer(x)).all()


def test_only_some_shapes_are_remembered():
    layer = inverted()
    for size in range(5, 15):
        layer(np.zeros((size, size, 8), F32))
    assert len(layer._networks) == 4


@pytest.mark.parametrize("name", LAYERS)
def test_arguments_and_plans(name):
    build, x = LAYERS[name]
    layer = build()
    for argument, shape in layer.kernel_shapes.items():
        assert f"{argument}={shape}" in repr(layer)
    assert any(step in layer.plan(x.shape) for step in ("conv2d", "inverted"))
    with pytest.raises(ValueError, match="at least one image"):
        layer.plan((0, *x.shape[1:]))
    with pytest.raises(TypeError, match="input_shape"):
        layer.output_shape(9)


def test_sizes():
    assert dense().num_parameters == 24 * 7 + 7
    assert gate().num_parameters == 24 * 6 + 6 + 6 * 24 + 24
    layer = inverted(squeeze_excite=gate())
    assert layer.num_parameters == 8 * 24 + 9 * 24 + 24 + 24 * 8 + gate().num_parameters
    assert layer.squeeze_excite.num_parameters == gate().num_parameters
    assert layer.nbytes >= 4 * layer.num_parameters
    assert (layer.strides, layer.padding) == ((1, 1), "same")
    assert layer.activation[0] == "prelu"


@pytest.mark.parametrize(
    ("build", "error", "word"),
    [
        (lambda: Dense(None), TypeError, "kernel"),
        (lambda: Dense(np.ones((1, 1, 4, 5), F32)), ValueError, r"kernel must have shape \(Cin, F"),
        (lambda: Dense(np.ones((4, 5))), TypeError, "kernel"),
        (lambda: dense(bias=np.ones(6, F32)), ValueError, "bias"),
        (lambda: dense(batch_norm=3), TypeError, "batch_norm"),
        (lambda: dense()(np.ones((2, 23), F32)), ValueError, "kernel has 24 inputs, but x has 23"),
        (lambda: dense()(np.ones((2, 0, 24), F32)), ValueError, "x.shape"),
        (lambda: dense()(np.ones((2, 24))), TypeError, "x"),
        (lambda: gate(squeeze_activation="swishh"), ValueError, "squeeze_activation"),
        (lambda: gate("NCWH"), ValueError, "data_format"),
        (lambda: SqueezeExcite(*[np.ones((4, 5), F32)] * 2), ValueError, "excite_kernel"),
        (lambda: gate()(image(23)), ValueError, "squeeze_kernel has 24 input channels"),
        (lambda: gate()(image(24)[0, 0]), ValueError, "x.shape"),
        (lambda: inverted(squeeze_excite=3), TypeError, "squeeze_excite"),
        (lambda: inverted(squeeze_excite=gate("NCHW")), ValueError, "data_format"),
        (lambda: inverted(expand_bias=np.ones(8, F32)), ValueError, "expand_bias"),
        (lambda: InvertedResidual(*kernels()[::-1]), ValueError, "expand_kernel|depthwise_kernel"),
        (
            lambda: InvertedResidual(*kernels()[:2], np.ones((23, 8), F32)),
            ValueError,
            "pointwise_kernel has 23 input channels, but depthwise_kernel gives 24",
        ),
        (
            lambda: InvertedResidual(
                *kernels(), squeeze_excite=SqueezeExcite(*[np.ones((5, 5), F32)] * 2)
            ),
            ValueError,
            "squeeze_excite has 5 channels, but it gets 24",
        ),
        (lambda: inverted()(image(9)), ValueError, "expand_kernel has 8 input channels"),
        (lambda: inverted()(image(8), residual=image(9)), ValueError, "residual"),
    ],
)
def test_refusals(build, error, word):
    with pytest.raises(error, match=word) as caught:
        build()
    assert type(caught.value) is error


# --- converters, by attributes ---


def keras_conv(kernel, **changes):
    settings = {
        "kernel": kernel, "bias": np.ones(kernel.shape[-1], F32), "use_bias": True, "groups": 1,
        "strides": (1, 1), "padding": "same", "data_format": "channels_last", "filters": 0,
        "dilation_rate": (1, 1), "activation": None,
    }  # fmt: skip
    return SimpleNamespace(**settings | changes)


def torch_conv(kernel, **changes):
    """Of a kernel in the order of fastdw."""
    settings = {
        "weight": kernel.transpose(3, 2, 0, 1), "bias": np.ones(kernel.shape[3], F32),
        "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1,
        "padding_mode": "zeros",
    }  # fmt: skip
    return SimpleNamespace(**settings | changes)


def test_dense_layers_of_others():
    kernel, bias, x = signed(rng(1), (24, 7)), signed(rng(2), 7), signed(rng(3), (2, 24))
    layer = SimpleNamespace(kernel=kernel, bias=bias, use_bias=True, units=7, activation=None)
    module = SimpleNamespace(weight=kernel.T, bias=bias, in_features=24, out_features=7)
    wanted = Dense(kernel, bias=bias, activation="relu")(x)
    assert_same(Dense.from_keras(layer, activation="relu")(x), wanted)
    assert_same(Dense.from_torch(module, activation="relu")(x), wanted)
    for convert in (Dense.from_keras, Dense.from_torch):
        with pytest.raises(TypeError):
            convert(object())
    with pytest.raises(ValueError, match="no weights yet"):
        Dense.from_keras(SimpleNamespace(**vars(layer), built=False))


def test_gates_of_others():
    first, second, x = signed(rng(1), (1, 1, 24, 6)), signed(rng(2), (1, 1, 6, 24)), image(24)
    ones = {"squeeze_bias": np.ones(6, F32), "bias": np.ones(24, F32)}
    wanted = SqueezeExcite(first, second, **ones, squeeze_activation=None, activation=None)(x)
    assert_same(SqueezeExcite.from_keras(keras_conv(first), keras_conv(second))(x), wanted)
    module = SimpleNamespace(
        fc1=torch_conv(first), fc2=torch_conv(second), activation=None, scale_activation=None
    )
    assert_same(SqueezeExcite.from_torch(module, data_format="NHWC")(x), wanted)
    with pytest.raises(ValueError, match="strides"):
        SqueezeExcite.from_keras(keras_conv(first, strides=(2, 2)), keras_conv(second))
    other = keras_conv(second, data_format="channels_first")
    with pytest.raises(ValueError, match="one data_format, but have 'channels_last', 'channels_f"):
        SqueezeExcite.from_keras(keras_conv(first), other)
    module.fc1.stride = 2
    with pytest.raises(ValueError, match="stride"):
        SqueezeExcite.from_torch(module)


def test_inverted_residuals_of_others():
    first, taps, last = kernels()
    taps, mixer, x = taps[..., None], first.reshape(1, 1, *first.shape), image(8)
    biases = {
        f"{prefix}bias": np.ones(n, F32)
        for prefix, n in (("expand_", 24), ("depthwise_", 24), ("", 8))
    }
    wanted = InvertedResidual(first, taps, last, padding=1, expand_activation="relu6", **biases)(
        x, residual=x
    )
    middle = keras_conv(taps, depthwise_kernel=taps, depth_multiplier=1, bias=np.ones(24, F32))
    layers = keras_conv(mixer), middle, keras_conv(last)
    got = InvertedResidual.from_keras(*layers, expand_activation="relu6")
    assert_same(got(x, residual=x), wanted)
    modules = (
        torch_conv(mixer),
        torch_conv(taps.transpose(0, 1, 3, 2), groups=24, padding=(1, 1)),
        torch_conv(last),
    )
    got = InvertedResidual.from_torch(*modules, expand_activation="relu6", data_format="NHWC")
    assert_same(got(x, residual=x), wanted)
    layers[0].data_format = "channels_first"
    with pytest.raises(ValueError, match="one data_format"):
        InvertedResidual.from_keras(*layers)


def test_without_an_expansion_it_is_a_separable_layer():
    """What the first block of MobileNets is."""
    _, taps, last = kernels()
    x = image(24)
    unit = InvertedResidual(np.eye(24, dtype=F32), taps, last, padding="same")
    assert_same(unit(x), SeparableConv2D(taps, last, padding="same")(x))
