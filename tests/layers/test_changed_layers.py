"""Converters trust neither names nor classes: what computes something else is refused.

The classes here carry the modules and names of the frameworks' own; test_torch.py and
test_keras.py have these themselves.
"""

import math
from types import SimpleNamespace

import fastdw
import numpy as np
import pytest
from fastdw import BatchNorm, DepthwiseConv2D, PointwiseConv2D, SeparableConv2D
from support import rng, signed

F32 = np.float32


def relu(x):
    return np.maximum(x, 0)


# Activations


def gelu_tanh(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def keras_layer(activation=None, **changes):
    settings = {
        "strides": (1, 1), "padding": "valid", "data_format": "channels_last",
        "dilation_rate": (1, 1), "use_bias": False, "filters": 4, "groups": 1,
        "kernel": np.eye(4, dtype=F32).reshape(1, 1, 4, 4), "bias": None,
    }  # fmt: skip
    return SimpleNamespace(**settings | {"activation": activation} | changes)


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda x: x, None),
        (relu, "relu"),
        (lambda x: np.clip(x, 0, 6), "relu6"),
        (lambda x: np.clip(x, -1, 1), ("clip", -1, 1)),
        (lambda x: np.clip(x, 0, 20), ("clip", 0, 20)),
        (lambda x: np.maximum(x, F32(0.5)), ("clip", 0.5, math.inf)),
        (np.tanh, "tanh"),
        (lambda x: 1 / (1 + np.exp(-x.astype(float))), "sigmoid"),
        (lambda x: x / (1 + np.exp(-x.astype(float))), "swish"),
        (lambda x: np.clip(x + 3, 0, 6) / 6, "hard_sigmoid"),
        (lambda x: x * np.clip(x + 3, 0, 6) / 6, "hard_swish"),
        (lambda x: np.where(x > 0, x, x * F32(0.25)), ("leaky_relu", 0.25)),
        (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)) * F32(1.5)), ("elu", 1.5)),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_an_activation_is_known_by_its_values(function, wanted):
    layer = PointwiseConv2D.from_keras(keras_layer(function))
    twin = PointwiseConv2D(np.eye(4, dtype=F32), activation=wanted)
    assert repr(layer) == repr(twin)


def test_a_name_proves_nothing():
    def gelu(x):  # as jax.nn.gelu
        return gelu_tanh(x)

    assert "gelu_tanh" in repr(PointwiseConv2D.from_keras(keras_layer(gelu)))


def impostors():
    def relu(x):
        return np.where(x > 0.01, x, 0)

    def tanh(x):
        return np.tanh(0.99 * x)

    def swish(x):
        return x / (1 + np.exp(-1.702 * x.astype(float)))

    def linear(x):
        return x * F32(1.001)

    def softmax(x):
        return np.exp(x) / np.exp(x).sum(-1, keepdims=True)

    def constant(x):
        return np.ones_like(x)

    def hard_sigmoid(x):  # of Keras 2
        return np.clip(0.2 * x + 0.5, 0, 1)

    def relu6(x):
        return np.maximum(x, 0)[..., :3]

    def sigmoid(x):
        raise OSError

    def elu(x):
        return np.full_like(x, np.nan)

    return [f for f in locals().values() if callable(f)]


@pytest.mark.parametrize("function", impostors(), ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
def test_an_impostor_is_refused(function):
    with pytest.raises(ValueError, match=rf"activation {function.__name__} .* own_act"):
        PointwiseConv2D.from_keras(keras_layer(function))


def test_an_activation_without_weights_is_not_built():
    class PReLU:
        built = False

        def __call__(self, x):
            self.built = True
            return relu(x)

    with pytest.raises(ValueError, match="PReLU has no weights yet"):
        PointwiseConv2D.from_keras(keras_layer(PReLU()))


# Classes


class Module:
    """As a torch.nn.Module: attributes, hooks, and a call that ends in forward."""

    def __init__(self, **attributes):
        self._forward_hooks, self._forward_pre_hooks, self._backward_hooks = {}, {}, {}
        vars(self).update(attributes)

    def __call__(self, x):
        return self.forward(x)


class Conv2d(Module):
    __module__ = "torch.nn.modules.conv"

    def forward(self, x):
        return self._conv_forward(x)

    def _conv_forward(self, x):
        return x


class _BatchNorm(Module):
    __module__ = "torch.nn.modules.batchnorm"

    def forward(self, x):
        return x


class Padding(Conv2d):
    def forward(self, x):
        return super().forward(np.pad(x, 1))


class Standardized(Conv2d):
    def _conv_forward(self, x):
        return x / x.std()


class Named(Conv2d):
    """Adds nothing to what is computed."""

    def extra_repr(self):
        return ""


class BatchNormAct2d(_BatchNorm):
    def forward(self, x):
        return np.maximum(super().forward(x), 0)


def depthwise_module(cls=Conv2d, dtype=F32, **changes):
    settings = {
        "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 4,
        "padding_mode": "zeros", "weight": signed(rng(1), (4, 1, 3, 3)).astype(dtype), "bias": None,
    }  # fmt: skip
    return cls(**settings | changes)


def norm_module(cls=_BatchNorm, dtype=F32):
    vectors = {"weight": np.ones(4), "bias": None, "running_mean": np.ones(4)}
    vectors["running_var"] = np.ones(4)
    vectors = {k: None if v is None else v.astype(dtype) for k, v in vectors.items()}
    return cls(**vectors, eps=1e-5)


def test_dense_modules():
    module = depthwise_module(bias=signed(rng(2), 4))
    layer = fastdw.Conv2D.from_torch(module)
    x = signed(rng(2), (4, 5, 5))
    np.testing.assert_allclose(layer(x), DepthwiseConv2D.from_torch(module)(x), 1e-5, 1e-5)
    with pytest.raises(ValueError, match="forward of its own"):
        fastdw.Conv2D.from_torch(depthwise_module(Padding))
    with pytest.raises(TypeError, match=r"module\.float\(\)"):
        fastdw.Conv2D.from_torch(depthwise_module(dtype="float16"))


@pytest.mark.parametrize("cls", [Padding, Standardized, BatchNormAct2d])
def test_a_subclass_that_computes_something_else_is_refused(cls):
    convolution = issubclass(cls, Conv2d)
    module = depthwise_module(cls if convolution else Conv2d)
    norm = None if convolution else norm_module(cls)
    with pytest.raises(ValueError, match=f"{cls.__name__} has a .* of its own"):
        DepthwiseConv2D.from_torch(module, batch_norm=norm)


def test_a_forward_of_the_instance_is_refused():
    module = depthwise_module(forward=relu)
    with pytest.raises(ValueError, match="forward of its own"):
        DepthwiseConv2D.from_torch(module)


def test_a_subclass_that_computes_the_same_is_accepted():
    plain = DepthwiseConv2D.from_torch(depthwise_module(), batch_norm=norm_module())
    named = DepthwiseConv2D.from_torch(depthwise_module(Named), batch_norm=norm_module())
    x = signed(rng(2), (4, 5, 5))
    np.testing.assert_array_equal(named(x), plain(x))


def test_another_class_with_the_same_attributes_is_refused():
    class InstanceNorm2d(Module):
        def forward(self, x):
            return x

    with pytest.raises(TypeError, match="InstanceNorm2d"):
        BatchNorm.from_torch(norm_module(InstanceNorm2d))
    with pytest.raises(TypeError, match="InstanceNorm2d"):
        DepthwiseConv2D.from_torch(depthwise_module(InstanceNorm2d))


@pytest.mark.parametrize("hooks", ["_forward_hooks", "_forward_pre_hooks"])
def test_hooks_are_refused(hooks):
    module, norm = depthwise_module(), norm_module()
    getattr(module, hooks)[0] = getattr(norm, hooks)[0] = relu
    with pytest.raises(ValueError, match=r"hooks .*\(relu\); remove them first"):
        DepthwiseConv2D.from_torch(module)
    with pytest.raises(ValueError, match=r"hooks .*\(relu\); remove them first"):
        BatchNorm.from_torch(norm)
    module = depthwise_module()
    module._backward_hooks[0] = relu
    DepthwiseConv2D.from_torch(module)


def test_a_lazy_module_without_weights_is_called_that():
    module = depthwise_module(has_uninitialized_params=lambda: True)
    module._forward_pre_hooks[0] = relu  # which makes the weights
    with pytest.raises(ValueError, match="has no weights yet; call it once first"):
        DepthwiseConv2D.from_torch(module)


def test_the_cure_of_a_dtype_is_one_that_the_user_has():
    for dtype in ("float16", "float64"):
        with pytest.raises(TypeError, match=rf"has {dtype}; convert it with module\.float\(\)"):
            DepthwiseConv2D.from_torch(depthwise_module(dtype=dtype))
    BatchNorm.from_torch(norm_module(dtype="float64"))
    with pytest.raises(TypeError, match=r"has float16; convert it with module\.float\(\)"):
        BatchNorm.from_torch(norm_module(dtype="float16"))
    kernel = np.ones((1, 1, 4, 4), "float16")
    with pytest.raises(TypeError, match=r'has float16; build the layer with dtype="float32"'):
        PointwiseConv2D.from_keras(keras_layer(kernel=kernel))


class Layer:
    def __init__(self, **attributes):
        vars(self).update(attributes)

    def __call__(self, x):
        return self.call(x)


class Conv2D(Layer):
    __module__ = "keras.src.layers.convolutional.conv2d"

    def call(self, x):
        return self.convolution_op(x)

    def convolution_op(self, x):
        return x


class OwnCall(Conv2D):
    def call(self, x):
        return super().call(np.pad(x, 1))


class OwnConvolution(Conv2D):
    def convolution_op(self, x):
        return x / x.std()


@pytest.mark.parametrize("cls", [OwnCall, OwnConvolution])
def test_a_keras_subclass_that_computes_something_else_is_refused(cls):
    PointwiseConv2D.from_keras(Conv2D(**vars(keras_layer())))
    with pytest.raises(ValueError, match=f"{cls.__name__} has a .* of its own"):
        PointwiseConv2D.from_keras(cls(**vars(keras_layer())))


# The axis of a BatchNormalization


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("axis", [-1, 3, [3], 1, -3, 2, (1,)])
def test_a_batch_norm_over_another_axis_is_refused(data_format, axis):
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    norm = SimpleNamespace(**dict.fromkeys(names, np.ones(4, F32)), epsilon=1e-3, axis=axis)
    layer = keras_layer(data_format=data_format)
    separable = keras_layer(
        data_format=data_format, depth_multiplier=1, pointwise_kernel=layer.kernel,
        depthwise_kernel=np.ones((1, 1, 4, 1), F32),
    )  # fmt: skip
    depthwise = keras_layer(
        data_format=data_format, depth_multiplier=1, kernel=np.ones((1, 1, 4, 1), F32)
    )
    right = int(np.ravel(axis)[0]) % 4 == (3 if data_format == "channels_last" else 1)
    for cls, given in (
        (PointwiseConv2D, layer),
        (SeparableConv2D, separable),
        (DepthwiseConv2D, depthwise),
    ):
        if right:
            assert isinstance(cls.from_keras(given, norm), cls)
        else:
            with pytest.raises(ValueError, match="axis"):
                cls.from_keras(given, norm)
    assert isinstance(fastdw.BatchNorm.from_keras(norm), BatchNorm)
