"""Every layer of Keras that is read, against NumPy."""

import numpy as np
import pytest

pytest.importorskip("h5py")

from fastdw import reference
from keras_models import IMAGE, agrees, entry, h5, layer, model, net, sequential, weights

X = weights(1, *IMAGE)
W, B = weights(3, 3, 2, 8, 5), weights(4, 5)
CONV = {"kernel": W, "bias": B}
DW, DB = weights(5, 3, 2, 8, 2), weights(6, 16)
SIZE = {"kernel_size": [3, 2]}
SLOPES = weights(9, 1, 1, 8)


def conv(x=X, w=W, b=B, padding="valid", **options):
    return reference.conv2d(x, w, bias=b, padding=padding, **options)


def first(x):
    return x.transpose(0, 3, 1, 2)


def softmax(x, axis=-1):
    e = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


# --- convolutions ---


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("strides", "dilation"), [((1, 1), (1, 1)), ((3, 4), (1, 1)), ((1, 1), (2, 1))]
)
def test_windows(padding, strides, dilation):
    options = {"strides": list(strides), "padding": padding, "dilation_rate": list(dilation)}
    given = {"padding": padding, "strides": strides, "dilation_rate": dilation}
    agrees(net(layer("Conv2D", arrays=CONV, groups=1, **SIZE, **options)), conv(**given))
    depthwise = layer(
        "DepthwiseConv2D", arrays={"depthwise_kernel": DW, "bias": DB}, **SIZE, **options
    )
    agrees(net(depthwise), reference.depthwise_conv2d(X, DW, bias=DB, **given))
    pointwise = weights(7, 1, 1, 16, 5)
    arrays = {"depthwise_kernel": DW, "pointwise_kernel": pointwise, "bias": B}
    separable = layer("SeparableConv2D", arrays=arrays, **SIZE, **options)
    y = reference.depthwise_conv2d(X, DW, **given)
    agrees(net(separable), y @ pointwise[0, 0].astype(np.float64) + B)


@pytest.mark.parametrize("name", ["depthwise_kernel", "kernel"])
def test_a_depthwise_kernel_has_two_names(name):
    part = layer("DepthwiseConv2D", arrays={name: DW}, groups=1, use_bias=False, **SIZE)
    agrees(net(part), reference.depthwise_conv2d(X, DW))


@pytest.mark.parametrize(("groups", "filters"), [(2, 4), (8, 8), (8, 16)])
def test_groups(groups, filters):
    w = weights(7, 3, 2, 8 // groups, filters)
    part = layer("Conv2D", arrays={"kernel": w}, use_bias=False, groups=groups, **SIZE)
    agrees(net(part), conv(w=w, b=None, groups=groups))


def test_channels_first():
    part = layer("Conv2D", arrays=CONV, data_format="channels_first", **SIZE)
    shape = (2, 8, 6, 7)
    graph = agrees(net(part, shape=shape), first(conv()), x=first(X))
    assert graph.inputs[0].shape == (8, 6, 7)


@pytest.mark.parametrize(
    ("padding", "strides", "more", "size", "before"),
    [
        ("same", (2, 2), None, (12, 14), (0, 0)),
        ("same", (1, 1), None, (6, 7), (1, 0)),
        ("same", (4, 1), None, (24, 7), (0, 0)),
        ("valid", (2, 2), None, (13, 14), (0, 0)),
        ("valid", (4, 3), None, (24, 21), (0, 0)),
        ("valid", (2, 2), (1, 1), (14, 15), (0, 0)),
    ],
)
def test_transposed_convolutions(padding, strides, more, size, before):
    w, (sh, sw) = weights(8, 3, 2, 5, 8), strides
    y = np.zeros((2, 40, 40, 5))
    for i in range(6):
        for j in range(7):
            spread = np.einsum("nc,hwfc->nhwf", X[:, i, j].astype(np.float64), w)
            y[:, i * sh : i * sh + 3, j * sw : j * sw + 2] += spread
    (height, width), (top, left) = size, before
    wanted = y[:, top : top + height, left : left + width] + B
    part = layer(
        "Conv2DTranspose",
        arrays={"kernel": w, "bias": B},
        padding=padding,
        strides=list(strides),
        output_padding=more,
        **SIZE,
    )
    agrees(net(part), wanted)


def test_dense():
    matrix = weights(7, 8, 5)
    part = layer("Dense", arrays={"kernel": matrix, "bias": B}, units=5, activation="relu")
    agrees(net(part), np.maximum(X @ matrix + B, 0))
    x = weights(1, 2, 8)
    agrees(net(part, shape=(2, 8)), np.maximum(x @ matrix + B, 0), x=x)


# --- statistics ---


@pytest.mark.parametrize("axis", [-1, 3, [3], 1])
@pytest.mark.parametrize("left_out", [(), ("gamma",), ("gamma", "beta")])
def test_batch_norm(axis, left_out):
    size = 6 if axis == 1 else 8
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    arrays = {n: weights(i, size) for i, n in enumerate(names)}
    arrays["moving_variance"] = np.abs(arrays["moving_variance"])
    part = layer(
        "BatchNormalization",
        arrays={n: a for n, a in arrays.items() if n not in left_out},
        axis=axis,
        epsilon=1e-3,
        momentum=0.99,
        scale="gamma" not in left_out,
        center="beta" not in left_out,
    )
    shape = (6, 1, 1) if axis == 1 else (8,)
    gamma, beta, mean, variance = (arrays[n].astype(np.float64).reshape(shape) for n in names)
    gamma = 1.0 if "gamma" in left_out else gamma
    beta = 0.0 if "beta" in left_out else beta
    wanted = (X - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    agrees(net(part), wanted, tolerance=1e-5)


def test_rescaling_and_normalization():
    agrees(net(layer("Rescaling", scale=1 / 127.5, offset=-1.0)), X / 127.5 - 1)
    scale = {"class_name": "__numpy__", "config": {"value": [1.0] * 7 + [2.0], "dtype": "float32"}}
    agrees(net(layer("Rescaling", scale=scale, offset=0.0)), X * ([1.0] * 7 + [2.0]))
    mean, variance = weights(2, 8), np.abs(weights(3, 8))
    variance[0] = 0.0
    wanted = (X.astype(np.float64) - mean) / np.maximum(np.sqrt(variance.astype(np.float64)), 1e-7)
    arrays = {"mean": mean, "variance": variance, "count": np.zeros(())}
    agrees(net(layer("Normalization", arrays=arrays, axis=[-1])), wanted)
    given = {"mean": mean.tolist(), "variance": variance.tolist()}
    agrees(net(layer("Normalization", axis=[-1], **given)), wanted)
    back = X * np.maximum(np.sqrt(variance.astype(np.float64)), 1e-7) + mean
    agrees(net(layer("Normalization", axis=[-1], invert=True, **given)), back)


# --- layers without weights ---

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": sigmoid,
    "tanh": lambda x: np.tanh(x.astype(np.float64)),
    "swish": lambda x: x * sigmoid(x),
    "silu": lambda x: x * sigmoid(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x.astype(np.float64))),
    "selu": lambda x: 1.05070098 * np.where(x > 0, x, 1.67326324 * np.expm1(x.astype(np.float64))),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "softmax": softmax,
    "celu": lambda x: np.where(x > 0, x, np.expm1(x.astype(np.float64))),
    "softplus": lambda x: np.log1p(np.exp(x.astype(np.float64))),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x.astype(np.float64)))),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "exponential": lambda x: np.exp(x.astype(np.float64)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x.astype(np.float64))),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_by_name(name):
    x = 4 * X
    agrees(net(layer("Activation", activation=name)), ACTIVATIONS[name](x), x=x)
    function = {"class_name": "function", "config": name, "registered_name": name}
    agrees(net(layer("Activation", activation=function)), ACTIVATIONS[name](x), x=x)


@pytest.mark.parametrize(
    ("version", "function"),
    [
        ("2.15.0", lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
        ("3.0.5", lambda x: np.clip(x + 3, 0, 6) / 6),
    ],
)
def test_hard_sigmoid_is_another_function_in_keras_2(version, function):
    part = layer("Activation", activation="hard_sigmoid")
    agrees(net(part, version=version), function(4 * X), x=4 * X)


def test_an_activation_may_be_a_layer_within_a_layer():
    inner = {"module": "keras.layers", "class_name": "LeakyReLU", "config": {"negative_slope": 0.1}}
    y = conv()
    agrees(net(layer("Conv2D", arrays=CONV, activation=inner, **SIZE)), np.where(y > 0, y, 0.1 * y))


PLAIN = {
    "ReLU": (layer("ReLU"), lambda x: np.maximum(x, 0)),
    "ReLU 6": (layer("ReLU", max_value=6.0), lambda x: np.clip(x, 0, 6)),
    "ReLU 1": (
        layer("ReLU", max_value=1.0, negative_slope=0.0, threshold=0.0),
        lambda x: np.clip(x, 0, 1),
    ),
    "ReLU slope": (
        layer("ReLU", max_value=1.0, negative_slope=0.25),
        lambda x: np.minimum(np.where(x > 0, x, x / 4), 1),
    ),
    "LeakyReLU of Keras 2": (
        layer("LeakyReLU", alpha=0.3),
        lambda x: np.where(x > 0, x, np.float32(0.3) * x),
    ),
    "LeakyReLU": (
        layer("LeakyReLU", negative_slope=0.25),
        lambda x: np.where(x > 0, x, x / 4),
    ),
    "ELU": (
        layer("ELU", alpha=0.5),
        lambda x: np.where(x > 0, x, 0.5 * np.expm1(x.astype(np.float64))),
    ),
    "PReLU": (
        layer("PReLU", arrays={"alpha": SLOPES}, shared_axes=[1, 2]),
        lambda x: np.where(x > 0, x, x * SLOPES),
    ),
    "Softmax": (layer("Softmax", axis=-1), softmax),
    "Softmax of rows": (layer("Softmax", axis=1), lambda x: softmax(x, 1)),
    "ZeroPadding2D": (
        layer("ZeroPadding2D", padding=[[0, 1], [2, 3]]),
        lambda x: np.pad(x, ((0, 0), (0, 1), (2, 3), (0, 0))),
    ),
    "ZeroPadding2D of one number": (
        layer("ZeroPadding2D", padding=2),
        lambda x: np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))),
    ),
    "Cropping2D": (layer("Cropping2D", cropping=[[1, 0], [2, 3]]), lambda x: x[:, 1:, 2:-3]),
    "UpSampling2D": (
        layer("UpSampling2D", size=[2, 3], interpolation="nearest"),
        lambda x: x.repeat(2, 1).repeat(3, 2),
    ),
    "Resizing": (
        layer("Resizing", height=3, width=7, interpolation="bilinear"),
        lambda x: x.reshape(2, 3, 2, 7, 8).mean(2),
    ),
    "Resizing to the nearest": (
        layer("Resizing", height=3, width=7, interpolation="nearest"),
        lambda x: x[:, 1::2],
    ),
    "Reshape": (layer("Reshape", target_shape=[-1, 4]), lambda x: x.reshape(2, 84, 4)),
    "Flatten": (layer("Flatten", data_format="channels_last"), lambda x: x.reshape(2, -1)),
    "Flatten channels first": (
        layer("Flatten", data_format="channels_first"),
        lambda x: x.transpose(0, 2, 3, 1).reshape(2, -1),
    ),
    "Permute": (layer("Permute", dims=[3, 1, 2]), lambda x: x.transpose(0, 3, 1, 2)),
    "Dropout": (layer("Dropout", rate=0.5, seed=7, noise_shape=None), lambda x: x),
    "RandomFlip": (layer("RandomFlip", mode="horizontal", seed=3), lambda x: x),
    "GlobalAveragePooling2D": (layer("GlobalAveragePooling2D"), lambda x: x.mean((1, 2))),
    "GlobalMaxPooling2D": (
        layer("GlobalMaxPooling2D", keepdims=True),
        lambda x: x.max((1, 2), keepdims=True),
    ),
    "MaxPooling2D": (
        layer("MaxPooling2D", pool_size=[2, 1], strides=None),
        lambda x: x.reshape(2, 3, 2, 7, 8).max(2),
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_layer_without_weights(name):
    part, function = PLAIN[name]
    agrees(net(part), function(X), tolerance=1e-6)


def test_pools_count_what_is_inside_alone():
    part = layer("AveragePooling2D", pool_size=2, strides=2, padding="same")
    y = np.stack([X[:, ::2, j : j + 2].mean(2) for j in (0, 2, 4, 6)], 2)
    y = (y + np.stack([X[:, 1::2, j : j + 2].mean(2) for j in (0, 2, 4, 6)], 2)) / 2
    agrees(net(part), y)


# --- several inputs ---


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("Add", lambda a, b, c: a + b + c),
        ("Multiply", lambda a, b, c: a * b * c),
        ("Average", lambda a, b, c: (a + b + c) / 3),
    ],
)
def test_merges(kind, function):
    data = net(
        layer("ReLU", "a"),
        layer("GlobalAveragePooling2D", "b", keepdims=True),
        layer(kind, "y", "a b x"),
    )
    wanted = function(np.maximum(X, 0), X.mean((1, 2), keepdims=True, dtype=np.float64), X)
    agrees(data, wanted)


def test_a_gate_may_come_first_or_lack_axes():
    parts = (layer("GlobalAveragePooling2D", "a"), layer("Multiply", "y", "a x"))
    agrees(net(*parts), X * X.mean((1, 2), keepdims=True, dtype=np.float64))
    agrees(net(layer("ReLU", "a"), layer("Subtract", "y", "x a")), X - np.maximum(X, 0))


@pytest.mark.parametrize("axis", [-1, 3, 1])
def test_concatenate(axis):
    parts = (layer("ReLU", "a"), layer("Concatenate", "y", "x a", axis=axis))
    agrees(net(*parts), np.concatenate([X, np.maximum(X, 0)], axis))


# --- sequential models ---


def test_a_sequential_model_has_its_shape_in_one_of_three_places():
    part = layer("Conv2D", arrays=CONV, **SIZE)
    agrees(h5(sequential(entry(), part), [part]), conv())
    agrees(h5(sequential(part, build_input_shape=[None, *IMAGE[1:]]), [part]), conv())
    part["config"]["batch_input_shape"] = [None, *IMAGE[1:]]
    agrees(h5(sequential(part), [part]), conv())


@pytest.mark.parametrize("call", [0, 1])
def test_models_in_models_are_taken_apart(call):
    """Keras counts the making of a functional model as its first call."""
    inner = model(entry(), layer("Conv2D", "c", arrays=CONV, **SIZE), name="inner")
    outer = model(
        entry(),
        layer("Functional", "inner", ["x"], **inner["config"]),
        layer("ReLU", "y", f"inner:{call}"),
    )
    stored = layer("", "inner", arrays={"inner/c/kernel:0": W, "inner/c/bias:0": B})
    agrees(h5(outer, [stored]), np.maximum(conv(), 0))
