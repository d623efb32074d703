"""What is refused: with exactly which type, in words that name the argument, and without harm."""

import contextlib
import inspect
import re
import sys

import fastdw
import numpy as np
import pytest

pytestmark = pytest.mark.emulated

F32 = np.float32
X = np.ones((2, 6, 5, 4), F32)
TAPS = np.ones((3, 3, 4), F32)
MIXER = np.ones((4, 7), F32)

GOOD = {
    "depthwise_conv2d": {"x": X, "depthwise_kernel": TAPS},
    "pointwise_conv2d": {"x": X, "pointwise_kernel": MIXER},
    "conv2d": {"x": X, "kernel": np.ones((3, 3, 4, 7), F32)},
    "separable_conv2d": {"x": X, "depthwise_kernel": TAPS, "pointwise_kernel": MIXER},
}
LAYERS = {
    "depthwise_conv2d": fastdw.DepthwiseConv2D,
    "pointwise_conv2d": fastdw.PointwiseConv2D,
    "conv2d": fastdw.Conv2D,
    "separable_conv2d": fastdw.SeparableConv2D,
}
CALL = ("x", "residual", "out", "num_threads")  # what a layer takes when it is called


def wrong_dtypes(array):
    names = ["f8", "f2", "i4", "u1", "?", "c8", ">f4", "O"]
    structured = np.zeros(array.shape, [("a", "f4")])
    return [*(array.astype(name) for name in names), structured, np.ma.array(array)]


SHAPES = {
    "x": [(), (4,), (5, 4), (1, 2, 6, 5, 4), (0, 5, 4), (2, 6, 0, 4), (2, 6, 5, 0), (2, 6, 5, 3)],
    "depthwise_kernel": [
        (4,), (3, 4), (1, 3, 3, 4, 1), (3, 3, 5), (0, 3, 4), (3, 0, 4), (3, 3, 0), (3, 3, 4, 0),
    ],
    "kernel": [
        (4,), (3, 3, 4), (1, 3, 3, 4, 7), (3, 3, 5, 7), (0, 3, 4, 7), (3, 3, 0, 7), (3, 3, 4, 0),
    ],
    "pointwise_kernel": [(4,), (1, 4, 7), (1, 1, 1, 4, 7), (1, 3, 4, 7), (5, 7), (4, 0), (0, 7)],
    "bias": [(), (1,), (0,), (5,), (1, 4), (7, 1)],
    "residual": [(), (7,), (2, 6, 5, 1), (2, 5, 6, 7), (6, 5, 7), (1, 2, 6, 5, 7)],
}  # fmt: skip

TYPE_ERRORS = {
    "x": [None, "x", b"x", X.tolist(), 1.0, *wrong_dtypes(X)],
    "depthwise_kernel": [None, "x", TAPS.tolist(), *wrong_dtypes(TAPS)],
    "pointwise_kernel": [None, 3, MIXER.tolist(), *wrong_dtypes(MIXER)],
    "kernel": [None, "x", MIXER.tolist(), *wrong_dtypes(np.ones((3, 3, 4, 7)))],
    "strides": [1.0, "2", None, True, (1, 1.0), (True, 1), np.float32(1)],
    "dilation_rate": [1.0, "2", None, True, (1, None)],
    "padding": [1.5, None, True, (1, 1.5), ((0, 1), (0, None))],
    "bias": [1.0, [1.0] * 4, *wrong_dtypes(np.ones(4))],
    "residual": [1.0, *wrong_dtypes(np.ones((2, 6, 5, 7)))],
    "batch_norm": [3, "norm", np.ones(4, F32)],
    "activation": [6, abs, 1.5, ("prelu", [0.5] * 4), ("clip", "0", 1), ("elu", None)],
    "data_format": [1, None],
    "num_threads": [2.0, "4", True, (1,)],
}
VALUE_ERRORS = {
    **{name: [np.ones(shape, F32) for shape in shapes] for name, shapes in SHAPES.items()},
    "strides": [0, -1, (), (1,), (1, 2, 3), (1, 0), 2**70, -(2**70)],
    "dilation_rate": [0, -1, (), (1, 2, 3), 2**70, 2**62, (2**31, 1)],
    "padding": [
        "SAMEE", "", -1, (1, -1), (), (1,), (1, 2, 3), ((0, 1), (1,)), ((0, 1), 1), 2**62, 2**70,
        (2**31, 0), [[0, 1], [0, 0], [0, 0], [0, 0]], [[0, 0], [0, 0], [0, 0], [1, 0]],
    ],
    "batch_norm": [fastdw.BatchNorm(*np.ones((4, n), F32), 1e-3) for n in (1, 5)],
    "activation": [
        "swishh", "", (), ("clip", 1, 0), ("clip", 0), ("clip", float("nan"), 1), ("relu", 1),
        ("prelu", np.ones(5, F32)), ("prelu", np.ones((4, 1), F32)), ("leaky_relu",), ("elu", 1, 2),
    ],
    "data_format": ["NCWH", "", "HWC"],
    "num_threads": [0, -1, 1025, 2**70],
}  # fmt: skip
VALUE_ERRORS["x"].append(np.ones((5, 4), F32).view(np.matrix))
VALUE_ERRORS["depthwise_kernel"].append(np.ones((7, 3, 4), F32))  # larger than the image

# Where the message speaks of what the argument makes instead of the argument alone.
ALSO = {"depthwise_kernel": "kernel", "padding": "padded", "dilation_rate": "kernel"}
# The separable operator has these twice, and one before x.
TWINS = {"depthwise_bias": "bias", "depthwise_batch_norm": "batch_norm",
         "depthwise_activation": "activation", "pre_activation": "activation"}  # fmt: skip


def takes(operator, argument):
    return argument in inspect.signature(getattr(fastdw, operator)).parameters


ROWS = [
    pytest.param(operator, argument, value, error, id=f"{operator}-{argument}-{i}-{error.__name__}")
    for error, table in ((TypeError, TYPE_ERRORS), (ValueError, VALUE_ERRORS))
    for argument in [*table, *TWINS]
    for operator in GOOD
    if takes(operator, argument)
    for i, value in enumerate(table[TWINS.get(argument, argument)])
]


def through_function(operator, arguments):
    return getattr(fastdw, operator)(**arguments)


def through_layer(operator, arguments):
    call = {name: value for name, value in arguments.items() if name in CALL}
    layer = LAYERS[operator](**{n: v for n, v in arguments.items() if n not in CALL})
    return layer(**call)


def through_used_layer(operator, arguments):
    """A layer that has had a good call, whose shapes it remembers."""
    call = {name: value for name, value in arguments.items() if name in CALL}
    layer = LAYERS[operator](**{n: v for n, v in arguments.items() if n not in CALL})
    with contextlib.suppress(ValueError):  # another of the arguments is wrong for any call
        layer(X)
    return layer(**call)


THROUGH = pytest.mark.parametrize("through", [through_function, through_layer, through_used_layer])


@THROUGH
@pytest.mark.parametrize(("operator", "argument", "value", "error"), ROWS)
def test_refused(operator, argument, value, error, through):
    good = through(operator, GOOD[operator])
    out = np.full_like(good, 77)
    with pytest.raises(error) as caught:
        through(operator, GOOD[operator] | {"out": out, argument: value})
    assert type(caught.value) is error
    names = {argument, ALSO.get(argument, argument)}
    assert any(re.search(rf"\b{name}\b", str(caught.value)) for name in names), caught.value
    if error is TypeError and type(value) is np.ndarray and not argument.endswith("batch_norm"):
        assert ".astype(np.float32)" in str(caught.value)
    assert np.all(out == 77)
    np.testing.assert_array_equal(through(operator, GOOD[operator]), good)


def read_only(array):
    array.flags.writeable = False
    return array


def unaligned(array):
    return np.zeros(array.nbytes + 1, np.uint8)[1:].view(F32).reshape(array.shape)


OUTS = {
    TypeError: {
        "a list": lambda y: y.tolist(),
        "None inside a tuple": lambda y: (None,),
        "float64": lambda y: y.astype("f8"),
        "big-endian": lambda y: y.astype(">f4"),
        "masked": np.ma.array,
    },
    ValueError: {
        "another shape": lambda y: np.zeros((*y.shape[:3], y.shape[3] + 1), F32),
        "one axis less": lambda y: y[0].copy(),
        "read-only": lambda y: read_only(y.copy()),
        "all images at one place": lambda y: np.lib.stride_tricks.as_strided(
            np.zeros(y.size, F32), y.shape, (0, *y.strides[1:])
        ),
        "rows that overlap": lambda y: np.lib.stride_tricks.as_strided(
            np.zeros(y.size, F32), y.shape, (y.strides[0], y.strides[1] - 4, *y.strides[2:])
        ),
        "unaligned": unaligned,
    },
}


@THROUGH
@pytest.mark.parametrize("operator", GOOD)
@pytest.mark.parametrize(
    ("error", "name"), [(error, name) for error, table in OUTS.items() for name in table]
)
def test_refused_out(operator, error, name, through):
    good = through(operator, GOOD[operator])
    out = OUTS[error][name](good)
    before = np.array(out, copy=True) if isinstance(out, np.ndarray) else None
    with pytest.raises(error, match="out") as caught:
        through(operator, GOOD[operator] | {"out": out})
    assert type(caught.value) is error
    if before is not None:
        np.testing.assert_array_equal(out, before)
    np.testing.assert_array_equal(through(operator, GOOD[operator]), good)


@THROUGH
@pytest.mark.parametrize("operator", GOOD)
def test_out_must_not_overlap_x(operator, through):
    memory = np.ones(3 * 240, F32)
    arguments = dict(GOOD[operator], x=memory[240:480].reshape(2, 6, 5, 4))
    arguments |= {"depthwise_kernel": TAPS[:1, :1], "pointwise_kernel": MIXER[:, :4]}
    arguments |= {"kernel": MIXER[None, None, :, :4]}
    arguments = {name: v for name, v in arguments.items() if takes(operator, name)}
    for start in (1, 239, 240, 241, 479):
        out = memory[start : start + 240].reshape(2, 6, 5, 4)
        with pytest.raises(ValueError, match=r"out .*overlap"):
            through(operator, arguments | {"out": out})
        assert np.all(memory == 1)
    for start in (0, 480):
        out = memory[start : start + 240].reshape(2, 6, 5, 4)
        assert through(operator, arguments | {"out": out}) is out


@pytest.mark.parametrize(
    ("argument", "shape"),
    [
        ("depthwise_kernel", (1, 1, 4)),
        ("depthwise_bias", (4,)),
        ("depthwise_batch_norm", (4,)),
        ("pre_activation", (4,)),
        ("pointwise_kernel", (4, 7)),
        ("bias", (7,)),
        ("batch_norm", (7,)),
        ("activation", (7,)),
        ("residual", (2, 6, 5, 7)),
    ],
)
def test_out_must_not_overlap_any_other_argument(argument, shape):
    size, ones = int(np.prod(shape)), np.ones(shape[-1], F32)
    memory = np.ones(size + 420, F32)
    value = memory[:size].reshape(shape)
    if argument.endswith("batch_norm"):
        value = fastdw.BatchNorm(ones, None, value, ones, 1e-3)
    elif argument.endswith("activation"):
        value = ("prelu", value)
    arguments = {"x": X, "depthwise_kernel": TAPS[:1, :1], "pointwise_kernel": MIXER}
    arguments[argument] = value
    out = memory[size - 1 : size + 419].reshape(2, 6, 5, 7)
    with pytest.raises(ValueError, match=r"out .*overlap"):
        fastdw.separable_conv2d(**arguments, out=out)
    assert np.all(memory == 1)
    out = memory[size:].reshape(2, 6, 5, 7)
    assert fastdw.separable_conv2d(**arguments, out=out) is out


BATCH_NORM = dict(zip(("gamma", "beta", "mean", "variance"), np.ones((4, 4), F32), strict=True))
BATCH_NORM["epsilon"] = 1e-3


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("mean", None, TypeError),
        ("variance", None, TypeError),
        ("epsilon", "1e-3", TypeError),
        ("epsilon", None, TypeError),
        ("gamma", [1.0] * 4, TypeError),
        ("beta", np.ones(4, "i4"), TypeError),
        ("variance", np.ones(4, "f2"), TypeError),
        ("gamma", np.ones(3, F32), ValueError),
        ("beta", np.ones((4, 1), F32), ValueError),
        ("variance", np.ones(5, F32), ValueError),
        ("mean", np.ones((1, 4), F32), ValueError),
        ("variance", np.array([1, 1, -1, 1], F32), ValueError),
        ("gamma", np.array([1, np.nan, 1, 1], F32), ValueError),
        ("beta", np.array([1, np.inf, 1, 1], F32), ValueError),
        ("mean", np.array([1, 1, 1, -np.inf]), ValueError),
        ("variance", np.array([np.inf, 1, 1, 1]), ValueError),
        ("epsilon", -1e-3, ValueError),
        ("epsilon", float("nan"), ValueError),
        ("epsilon", float("inf"), ValueError),
    ],
)
def test_refused_batch_norm(field, value, error):
    with pytest.raises(error, match=field) as caught:
        fastdw.BatchNorm(**BATCH_NORM | {field: value})
    assert type(caught.value) is error


def test_refused_batch_norm_without_variance():
    with pytest.raises(ValueError, match="variance"):
        fastdw.BatchNorm(**BATCH_NORM | {"variance": np.zeros(4, F32), "epsilon": 0})


@pytest.mark.parametrize("others", [0, 1, 1e30])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in ("gamma", "beta", "mean") for value in (np.nan, np.inf)),
        *(("variance", value) for value in (np.nan, np.inf, -1e-6, -1.0)),
    ],
)
def test_batch_norm_whose_arrays_change(field, value, others):
    """They are checked again when they are folded, whatever stands beside the entry."""
    arrays = {name: np.ones(4, F32) for name in ("gamma", "beta", "mean", "variance")}
    norm = fastdw.BatchNorm(**arrays, epsilon=1e-3)
    for array in arrays.values():
        array[:] = others
    fastdw.depthwise_conv2d(np.ones((3, 3, 4), F32), np.ones((3, 3, 4), F32), batch_norm=norm)
    arrays[field][2] = value
    with pytest.raises(ValueError, match=field):
        fastdw.depthwise_conv2d(np.ones((3, 3, 4), F32), np.ones((3, 3, 4), F32), batch_norm=norm)


def test_batch_norm_folded_into_more_than_there_is_memory():
    """A view repeats one number, and a layer needs them all."""
    kernel = np.broadcast_to(F32(1), (sys.maxsize // 32, 4))
    norm = fastdw.BatchNorm(*np.ones((4, 4), F32), 1e-3)
    with pytest.raises(MemoryError):
        fastdw.PointwiseConv2D(kernel, batch_norm=norm)


def test_batch_norm_beside_a_bias_that_is_not_finite():
    norm = fastdw.BatchNorm(*np.ones((4, 4), F32), 1e-3)
    bias = np.array([0, np.inf, np.nan, 1], F32)
    y = fastdw.depthwise_conv2d(
        np.ones((3, 3, 4), F32), np.ones((3, 3, 4), F32), bias=bias, batch_norm=norm
    )
    assert np.isfinite(y).tolist() == [[[True, False, False, True]]]


@pytest.mark.parametrize("argument", ["pre_activation"])
@pytest.mark.parametrize("activation", ["sigmoid", "hard_sigmoid", ("clip", 1, 2)], ids=str)
@pytest.mark.parametrize("padding", ["same", 1, ((0, 0), (0, 1))], ids=str)
def test_pre_activation_must_keep_zero(argument, activation, padding):
    with pytest.raises(ValueError, match=argument):
        fastdw.separable_conv2d(X, TAPS, MIXER, 1, padding, **{argument: activation})


@pytest.mark.parametrize("operator", GOOD)
def test_refused_calls(operator):
    function, layer = getattr(fastdw, operator), LAYERS[operator]
    arguments = dict(GOOD[operator])
    with pytest.raises(TypeError, match="stride_"):
        function(**arguments, stride_=1)
    x = arguments.pop("x")
    with pytest.raises(TypeError, match="x"):
        function(**arguments)
    with pytest.raises(TypeError, match="out"):
        layer(**arguments, out=None)
    made = layer(**arguments)
    with pytest.raises(TypeError):
        made()
    for wrong in ({"strides": 2}, {"X": x}):
        with pytest.raises(TypeError, match=next(iter(wrong))) as caught:
            made(x, **wrong)
        assert "AddingLayer" not in str(caught.value)
    with pytest.raises(TypeError, match=r"takes 2 positional arguments but 3 ") as caught:
        made(x, x)
    assert re.match(r"layer\(|DepthwiseConv2D\.", str(caught.value))
    with pytest.raises(TypeError):
        layer()


def test_results_that_no_memory_holds():
    for padding in (2**29, 2**30):
        with pytest.raises((MemoryError, ValueError)):
            fastdw.depthwise_conv2d(X, TAPS, padding=padding)
