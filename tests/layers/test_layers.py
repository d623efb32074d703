"""Prepared layers: sizes, arguments, immutability, pickles."""

import copy
import gc
import inspect
import pickle
import weakref

import fastdw
import numpy as np
import pytest
import support
from fastdw import (
    BatchNorm,
    Conv2D,
    DepthwiseConv2D,
    Input,
    Network,
    PointwiseConv2D,
    SeparableConv2D,
    pointwise_conv2d,
    reference,
)
from fastdw._isa import packed_for
from support import assert_same, assert_within, batch_norm, rng, signed

F32 = np.float32


def weights():
    g = rng(1)
    return {
        "depthwise_kernel": signed(g, (3, 5, 12, 2)),
        "pointwise_kernel": signed(g, (24, 17)),
        "depthwise_bias": signed(g, 24),
        "bias": signed(g, 17),
    }


def separable(**options):
    g = rng(2)
    return SeparableConv2D(
        **weights(), strides=(1, 2), padding="same_lower", dilation_rate=(2, 1),
        pre_activation=("prelu", signed(g, 12)), depthwise_activation=("elu", 0.5),
        depthwise_batch_norm=BatchNorm(*batch_norm(g, 24)),
        activation=("clip", -1, 2.5), **options,
    )  # fmt: skip


def layers():
    g = rng(3)
    return {
        "separable": separable(),
        "first": separable(data_format="NCHW"),
        "plain": SeparableConv2D(weights()["depthwise_kernel"], weights()["pointwise_kernel"]),
        "depthwise": DepthwiseConv2D(
            signed(g, (3, 3, 12)), 2, ((0, 1), (0, 1)), batch_norm=BatchNorm(*batch_norm(g, 12))
        ),
        "pointwise": PointwiseConv2D(signed(g, (1, 1, 12, 17)), bias=signed(g, 17)),
    }


@pytest.mark.parametrize("name", layers())
def test_output_shape_is_that_of_the_result(name):
    layer, x = layers()[name], signed(rng(4), (2, 12, 12, 12))
    y = layer(x)
    assert layer.output_shape(x.shape) == y.shape
    assert layer.output_shape(x.shape[1:]) == y.shape[1:]
    assert layer.output_shape([*x.shape]) == y.shape
    assert layer.output_shape((0, *x.shape[1:])) == (0, *y.shape[1:])


def test_sizes():
    layer = separable()
    # An output of 9 rows and 6 columns, each with 3·5 taps for 24 channels and a 24×17 matrix.
    assert layer.output_shape((2, 9, 12, 12)) == (2, 9, 6, 17)
    assert layer.macs((2, 9, 12, 12)) == 2 * 9 * 6 * (15 * 24 + 24 * 17)
    assert layer.num_parameters == 15 * 24 + 24 + 24 * 17 + 17
    assert layer.nbytes >= 4 * layer.num_parameters
    plain = layers()["plain"]
    assert plain.num_parameters == 15 * 24 + 24 * 17
    depthwise = layers()["depthwise"]
    assert depthwise.macs((8, 8, 12)) == 4 * 4 * 9 * 12
    assert depthwise.num_parameters == 9 * 12  # BatchNorm is not counted
    pointwise = layers()["pointwise"]
    assert pointwise.macs((1, 5, 4, 12)) == 20 * 12 * 17
    assert pointwise.num_parameters == 12 * 17 + 17
    for layer in layers().values():
        assert layer.nbytes >= 4 * layer.num_parameters
        assert type(layer).__name__ in repr(layer)
    assert "same_lower" in repr(separable())


@pytest.mark.parametrize("name", [n for n in fastdw.layers.__all__ if n.startswith("Quantized")])
def test_quantised_layers_have_the_properties_of_float_ones(name):
    layers = [getattr(fastdw, kind) for kind in (name, name.removeprefix("Quantized"))]
    there = [{n for n in dir(layer) if isinstance(getattr(layer, n), property)} for layer in layers]
    assert there[1] - there[0] <= {"pre_activation", "squeeze_excite"}  # which these do not take


@pytest.mark.parametrize("name", fastdw.layers.__all__)
def test_arguments_with_a_position(name):
    """Kernels and where they lie: what comes after the convolution, and what one of many is for,
    is named."""
    for key, parameter in inspect.signature(getattr(fastdw, name)).parameters.items():
        place = key in ("strides", "padding", "data_format", "dilation_rate")
        kernel = key.endswith(("kernel", "scales"))
        if parameter.kind is not parameter.KEYWORD_ONLY:
            assert kernel or place, key
        elif kernel:
            pytest.fail(key)


def test_arguments_are_properties():
    layer = separable(data_format="channels_first")
    assert layer.strides == (1, 2)
    assert layer.padding == "same_lower"
    assert layer.dilation_rate == (2, 1)
    assert layer.data_format == "NCHW"
    assert layer.pre_activation[0] == "prelu"
    assert layer.depthwise_activation == ("elu", 0.5)
    assert layer.activation == ("clip", -1, 2.5)
    assert layer.kernel_shapes == {"depthwise_kernel": (3, 5, 12, 2), "pointwise_kernel": (24, 17)}
    layer.kernel_shapes.clear()
    assert layer.kernel_shapes
    depthwise = layers()["depthwise"]
    assert (depthwise.strides, depthwise.padding) == ((2, 2), ((0, 1), (0, 1)))
    assert depthwise.activation is None
    pointwise = layers()["pointwise"]
    place = pointwise.strides, pointwise.padding, pointwise.dilation_rate, pointwise.data_format
    assert place == ((1, 1), "valid", (1, 1), "NHWC")
    assert Conv2D(np.ones((1, 3, 4, 6), F32), groups=2).groups == 2
    for layer in layers().values():
        for name in ("strides", "padding", "dilation_rate", "data_format", "activation"):
            with pytest.raises(AttributeError, match=name):
                setattr(layer, name, getattr(layer, name))


@pytest.mark.parametrize("name", layers())
def test_a_layer_can_be_referred_to_weakly(name):
    layer = layers()[name]
    cache = weakref.WeakKeyDictionary({layer: 1})
    assert len(cache) == 1
    del layer
    gc.collect()
    assert len(cache) == 0


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize("strides", [2, (1, 3), (2, 1), 7, 2**62])
def test_strides_of_a_pointwise_layer(forced_isa, data_format, strides):
    g = rng(13)
    x, mixer, bias = signed(g, (2, 9, 10, 12)), signed(g, (12, 17)), signed(g, 17)
    if data_format == "NCHW":
        x = np.moveaxis(x, -1, 1)
    layer = PointwiseConv2D(mixer, data_format, strides=strides, bias=bias, activation="relu")
    down, across = layer.strides
    taken = x[:, ::down, ::across] if data_format == "NHWC" else x[..., ::down, ::across]
    wanted = PointwiseConv2D(mixer, data_format, bias=bias, activation="relu")(taken)
    assert layer.output_shape(x.shape) == wanted.shape
    assert layer.macs(x.shape) == wanted.size * 12
    twin = pickle.loads(pickle.dumps(layer))
    for _ in range(2):  # the second call is one that the layer remembers
        assert_same(layer(x), wanted)
        assert_same(twin(x), wanted)
        assert_same(
            pointwise_conv2d(x, mixer, data_format, strides=strides, bias=bias, activation="relu"),
            wanted,
        )
    residual = signed(g, wanted.shape)
    assert_within(
        layer(x, residual=residual),
        support.pointwise(
            taken, mixer, data_format, bias=bias, activation="relu", residual=residual
        ),
    )
    np.testing.assert_array_equal(
        reference.pointwise_conv2d(x, mixer, data_format, strides=strides),
        reference.pointwise_conv2d(taken, mixer, data_format),
    )


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_a_strided_pointwise_layer_in_a_network(data_format):
    x = signed(rng(13), (2, 12, 10, 12))
    layer = PointwiseConv2D(signed(rng(14), (12, 17)), data_format, strides=(2, 3))
    symbol = Input(x.shape[1:])
    assert_same(Network(symbol, layer(symbol))(x), layer(x))


def test_a_pointwise_layer_without_strides_pickles_as_ever():
    layer = PointwiseConv2D(np.ones((4, 5), F32), strides=(1, 1))
    assert repr(layer) == repr(PointwiseConv2D(np.ones((4, 5), F32)))
    assert "strides" not in layer.__reduce__()[1][2]
    assert "strides=(2, 1)" in repr(PointwiseConv2D(np.ones((4, 5), F32), strides=(2, 1)))


@pytest.mark.parametrize(
    ("shape", "error"),
    [((9, 12), ValueError), ((1, 9, 12, 11), ValueError), ((1, 0, 12, 12), ValueError),
     ((1, -1, 12, 12), ValueError), (9, TypeError), ((1, 9.0, 12, 12), TypeError)],
)  # fmt: skip
def test_refused_input_shapes(shape, error):
    for method in (separable().output_shape, separable().macs):
        with pytest.raises(error, match="input_shape") as caught:
            method(shape)
        assert type(caught.value) is error


def test_a_layer_does_not_change():
    layer = separable()
    for name in ("nbytes", "strides", "anything"):
        with pytest.raises(AttributeError):
            setattr(layer, name, 1)
    with pytest.raises(AttributeError):
        del layer.nbytes
    normal = BatchNorm(*batch_norm(rng(1), 3))
    with pytest.raises(AttributeError):
        normal.epsilon = 1.0


def test_a_layer_is_independent_of_its_arrays(forced_isa):
    g, arrays = rng(5), weights()
    *vectors, epsilon = batch_norm(g, 17)
    slopes, x = signed(g, 12), signed(g, (1, 8, 8, 12))
    layer = SeparableConv2D(
        **arrays, batch_norm=BatchNorm(*vectors, epsilon), pre_activation=("prelu", slopes)
    )
    wanted = layer(x)
    for array in (*arrays.values(), *vectors, slopes):
        array[...] = np.nan
    assert_same(layer(x), wanted)
    wanted[...] = 0
    assert np.any(layer(x))


@pytest.mark.parametrize("name", layers())
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy]
    + [lambda a, p=p: pickle.loads(pickle.dumps(a, p)) for p in range(2, 6)],
)
def test_pickles_keep_every_bit(forced_isa, name, copied):
    layer, x = layers()[name], signed(rng(6), (2, 12, 12, 12))
    twin = copied(layer)
    assert_same(twin(x), layer(x))
    assert repr(twin) == repr(layer)
    assert twin.num_parameters == layer.num_parameters
    assert_same(copied(twin)(x), layer(x))


def test_a_pickle_serves_every_instruction_set(isa):
    layer, x = layers()["separable"], signed(rng(6), (2, 12, 12, 12))
    stored = pickle.dumps(layer)
    with packed_for(isa):
        twin = pickle.loads(stored)
        assert_same(twin(x), separable()(x))
    assert [part.isa for part in twin._parts] == [isa, isa]


def test_a_batch_norm_pickles():
    normal = BatchNorm(*batch_norm(rng(7), 5))
    twin = pickle.loads(pickle.dumps(normal))
    for field in ("gamma", "beta", "mean", "variance", "epsilon"):
        np.testing.assert_array_equal(getattr(twin, field), getattr(normal, field))


def _without(arguments, name):
    return {key: value for key, value in arguments.items() if key != name}


@pytest.mark.parametrize(
    "damage",
    [
        lambda version, name, arguments, rest: (version + 1, name, arguments, rest),
        lambda version, name, arguments, rest: (0, name, arguments, rest),
        lambda version, name, arguments, rest: ("1", name, arguments, rest),
        lambda version, name, arguments, rest: (version, "Conv2D", arguments, rest),
        lambda version, name, arguments, rest: (version, name, None, rest),
        lambda version, name, arguments, rest: (version, name, arguments, "many"),
        lambda version, name, arguments, rest: (version, name, arguments, -1),
        lambda version, name, arguments, rest: (
            version, name, _without(arguments, "depthwise_kernel"), rest,
        ),
        lambda version, name, arguments, rest: (
            version, name, arguments | {"pointwise_kernel": np.ones((3, 4), F32)}, rest,
        ),
        lambda version, name, arguments, rest: (version, name, arguments | {"new": 1}, rest),
        lambda version, name, arguments, rest: (version, name),
        lambda version, name, arguments, rest: (),
    ],
)  # fmt: skip
def test_damaged_and_newer_pickles(damage):
    restore, state = separable().__reduce__()
    with pytest.raises(ValueError, match="pickle"):
        restore(*damage(*state))
