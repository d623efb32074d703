"""Layers of Keras and PyTorch by their attributes; test_keras.py and test_torch.py have the
frameworks' own."""

from types import SimpleNamespace

import numpy as np
import pytest
import support
from fastdw import BatchNorm, DepthwiseConv2D, SeparableConv2D
from support import assert_within, batch_norm, rng, signed

F32 = np.float32


def weights():
    g = rng(1)
    return {
        "depthwise_kernel": signed(g, (3, 5, 12, 2)),
        "pointwise_kernel": signed(g, (24, 17)),
        "bias": signed(g, 17),
    }


class Variable:
    """As Keras holds its weights."""

    def __init__(self, value):
        self._value = value

    def numpy(self):
        return self._value


def relu(x):
    return np.maximum(x, 0)


def keras_layer(**changes):
    arrays = {name: Variable(value) for name, value in weights().items()}
    settings = {
        "strides": (2, 2), "padding": "same", "data_format": "channels_last",
        "dilation_rate": (1, 1), "activation": None, "use_bias": True, "depth_multiplier": 2,
        "filters": 17,
    }  # fmt: skip
    return SimpleNamespace(**arrays | settings | changes)


def keras_batch_norm(channels):
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    *vectors, epsilon = batch_norm(rng(8), channels)
    variables = {name: Variable(v) for name, v in zip(names, vectors, strict=True)}
    return SimpleNamespace(**variables, epsilon=epsilon, axis=-1), (*vectors, epsilon)


def test_from_keras_separable():
    x, arrays = signed(rng(9), (1, 9, 10, 12)), weights()
    common = {"strides": 2, "padding": "same"}
    normal_layer, normal = keras_batch_norm(17)
    got = SeparableConv2D.from_keras(keras_layer(), normal_layer, "relu6")(x)
    wanted = support.separable(x, **arrays, **common, batch_norm=normal, activation="relu6")
    assert_within(got, wanted)
    got = SeparableConv2D.from_keras(keras_layer(activation=relu, use_bias=False))(x)
    arrays.pop("bias")
    assert_within(got, support.separable(x, **arrays, **common, activation="relu"))
    first = SeparableConv2D.from_keras(keras_layer(data_format="channels_first", use_bias=False))
    assert_within(
        np.moveaxis(first(np.moveaxis(x, -1, 1)), 1, -1), support.separable(x, **arrays, **common)
    )


@pytest.mark.parametrize("kernel_name", ["kernel", "depthwise_kernel"], ids=["Keras 3", "Keras 2"])
def test_from_keras_depthwise(kernel_name):
    x, taps = signed(rng(9), (1, 9, 10, 12)), weights()["depthwise_kernel"]
    layer = keras_layer(bias=None, use_bias=False, **{kernel_name: Variable(taps)})
    for name in {"depthwise_kernel", "pointwise_kernel"} - {kernel_name}:
        delattr(layer, name)
    normal_layer, normal = keras_batch_norm(24)
    got = DepthwiseConv2D.from_keras(layer, BatchNorm.from_keras(normal_layer), "swish")(x)
    wanted = support.depthwise(x, taps, 2, "same", batch_norm=normal, activation="swish")
    assert_within(got, wanted)


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)  # of Keras 2


@pytest.mark.parametrize(
    "change",
    [{"activation": hard_sigmoid}, {"activation": lambda x: x * x}, {"built": False}],
    ids=["hard_sigmoid of Keras 2", "unknown", "not built"],
)
def test_refused_keras_layers(change):
    with pytest.raises(ValueError, match=r"activation|build"):
        SeparableConv2D.from_keras(keras_layer(**change))
    with pytest.raises(TypeError):
        SeparableConv2D.from_keras(object())
    with pytest.raises(TypeError):
        BatchNorm.from_keras(object())


def torch_module(weight, bias=None, **changes):
    settings = {
        "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1,
        "padding_mode": "zeros",
    }  # fmt: skip
    return SimpleNamespace(weight=weight, bias=bias, **settings | changes)


def torch_modules():
    g = rng(10)
    depthwise = torch_module(
        signed(g, (24, 1, 3, 5)), signed(g, 24), stride=(2, 1), padding=(1, 2), groups=12
    )
    return depthwise, torch_module(signed(g, (17, 24, 1, 1)))


def test_from_torch():
    depthwise, pointwise = torch_modules()
    x = signed(rng(11), (2, 12, 9, 10))
    taps = depthwise.weight.reshape(12, 2, 3, 5).transpose(2, 3, 0, 1)
    mixer = pointwise.weight[:, :, 0, 0].T
    *vectors, epsilon = batch_norm(rng(12), 24)
    names = ("weight", "bias", "running_mean", "running_var")
    module = SimpleNamespace(**dict(zip(names, vectors, strict=True)), eps=epsilon)
    geometry = ((2, 1), (1, 2), "NCHW")
    layer = SeparableConv2D.from_torch(
        depthwise, pointwise, depthwise_batch_norm=module, depthwise_activation="relu"
    )
    wanted = support.separable(
        x, taps, mixer, *geometry, depthwise_bias=depthwise.bias,
        depthwise_batch_norm=(*vectors, epsilon), depthwise_activation="relu",
    )  # fmt: skip
    assert_within(layer(x), wanted)
    layer = DepthwiseConv2D.from_torch(depthwise, data_format="NHWC")
    wanted = support.depthwise(np.moveaxis(x, 1, -1), taps, *geometry[:2], bias=depthwise.bias)
    assert_within(layer(np.moveaxis(x, 1, -1)), wanted)


@pytest.mark.parametrize(
    ("half", "change"),
    [(0, {"groups": 6, "weight": np.ones((24, 2, 3, 5), F32)}), (0, {"padding_mode": "reflect"}),
     (1, {"stride": (2, 2)}), (1, {"padding": (1, 1)}), (1, {"groups": 2}),
     (1, {"weight": np.ones((17, 24, 3, 3), F32)})],
)  # fmt: skip
def test_refused_torch_modules(half, change):
    modules = torch_modules()
    vars(modules[half]).update(change)
    with pytest.raises(ValueError, match=("depthwise_module", "pointwise_module")[half]):
        SeparableConv2D.from_torch(*modules)
    with pytest.raises(TypeError):
        SeparableConv2D.from_torch(object(), modules[1])


def test_a_kernel_that_tensorflow_computes_has_a_dtype_of_its_own():
    """As with LoRA: `str` of TensorFlow's dtypes is more than their name."""

    class Computed(Variable):
        dtype = SimpleNamespace(name="float32")

    kernel = Computed(weights()["depthwise_kernel"])
    x = signed(rng(9), (1, 9, 10, 12))
    got, wanted = (
        SeparableConv2D.from_keras(keras_layer(**changes))(x)
        for changes in ({"depthwise_kernel": kernel}, {})
    )
    np.testing.assert_array_equal(got, wanted)
