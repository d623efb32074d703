"""Laws that tie the results of different calls together, on random numbers.

Most hold to the last bit, because every sum has one order whatever the layout, batch, stride or
border; those that change the order hold for whole numbers.
"""

import fastdw
import numpy as np
import pytest
import support
from hypothesis import given, settings
from hypothesis import strategies as st
from support import Bounded, assert_same, assert_within, batch_norm, integers, rng, signed

pytestmark = pytest.mark.emulated

F32 = np.float32
QUICK = settings(max_examples=settings().max_examples // 4)
SEEDS = st.integers(0, 2**32)
PADS = ((6, 7), (7, 6))  # enough for every kernel on every image
STEPS = st.tuples(st.integers(1, 3), st.integers(1, 3))
NAMES = ("x", "depthwise_kernel", "pointwise_kernel", "strides", "padding", "data_format",
         "dilation_rate")  # fmt: skip


@st.composite
def separables(draw):
    """Arguments of `separable_conv2d` on random numbers, in the order of its signature."""
    g = rng(draw(SEEDS))
    n, filters = draw(st.integers(1, 3)), draw(st.integers(1, 40))
    channels = draw(st.one_of(st.integers(1, 40), st.just(72)))
    size, kernel = (draw(st.tuples(st.integers(1, m), st.integers(1, m))) for m in (12, 5))
    x = signed(g, (n, *size, channels))
    taps = signed(g, (*kernel, channels, draw(st.integers(1, 3))))
    mixer = signed(g, (channels * taps.shape[3], filters))
    padding = draw(st.sampled_from(["same", "same_lower", PADS]))
    values = x, taps, mixer, draw(STEPS), padding, "NHWC", draw(STEPS)
    return dict(zip(NAMES, values, strict=True))


def depthwise(arguments, **others):
    options = {n: v for n, v in (arguments | others).items() if n != "pointwise_kernel"}
    return fastdw.depthwise_conv2d(**options)


def separable(arguments, **others):
    return fastdw.separable_conv2d(**arguments | others)


def plain(view):
    return np.ascontiguousarray(view)


def channels_first(array):
    return plain(np.moveaxis(array, -1, 1))


@QUICK
@given(arguments=separables(), data=st.data())
def test_linear(forced_isa, arguments, data):
    """Within the bounds of the three sums; powers of two scale to the last bit."""
    x = arguments["x"]
    power = F32(2.0) ** F32(data.draw(st.integers(-30, 30)))
    assert_same(separable(arguments, x=x * power), separable(arguments) * power)
    half = x / 2
    other = signed(rng(data.draw(SEEDS)), x.shape) / 2
    parts = [half, other, half + other]
    bounds = [support.separable(**arguments | {"x": part}) for part in parts]
    first, second, both = (separable(arguments, x=part) for part in parts)
    total = first.astype(np.float64) + second
    assert_within(both, Bounded(total, sum(bound.error for bound in bounds)))


@QUICK
@given(arguments=separables(), data=st.data())
def test_batches_split_and_permute(forced_isa, arguments, data):
    x, whole = arguments["x"], separable(arguments)
    order = data.draw(st.permutations(range(len(x))))
    assert_same(separable(arguments, x=plain(x[order])), whole[order])
    for image, result in zip(x, whole, strict=True):
        assert_same(separable(arguments, x=image), result)


@QUICK
@given(arguments=separables(), data=st.data())
def test_channels_permute(forced_isa, arguments, data):
    """The channels of a depthwise and the filters of a pointwise sum are independent."""
    g = rng(data.draw(SEEDS))
    x, taps, mixer = (arguments[name] for name in NAMES[:3])
    channels, filters = g.permutation(x.shape[3]), g.permutation(mixer.shape[1])
    n, height, width, _ = (whole := depthwise(arguments)).shape
    by_channel = whole.reshape(n, height, width, *taps.shape[2:])
    got = depthwise(arguments, x=x[..., channels], depthwise_kernel=taps[:, :, channels])
    assert_same(got.reshape(by_channel.shape), by_channel[..., channels, :])
    got = separable(arguments, pointwise_kernel=mixer[:, filters])
    assert_same(got, separable(arguments)[..., filters])


@QUICK
@given(arguments=separables(), data=st.data())
def test_sums_of_whole_numbers_are_exact(forced_isa, arguments, data):
    """In any order of the inputs, and of the sum of two images."""
    g = rng(data.draw(SEEDS))
    x, taps, mixer = (integers(g, arguments[name].shape, 2) for name in NAMES[:3])
    numbers = dict(zip(NAMES[:3], (x, taps, mixer), strict=True))
    whole, order = separable(arguments, **numbers), g.permutation(x.shape[3])
    rows = mixer.reshape(*taps.shape[2:], -1)[order].reshape(mixer.shape)
    permuted = (plain(x[..., order]), plain(taps[:, :, order]), rows)
    assert_same(separable(arguments, **dict(zip(NAMES[:3], permuted, strict=True))), whole)
    other = integers(g, x.shape, 2)
    added = separable(arguments, **numbers | {"x": x + other})
    assert_same(whole + separable(arguments, **numbers | {"x": other}), added)


@QUICK
@given(arguments=separables())
def test_a_part_of_the_channels(forced_isa, arguments):
    """Each channel, and each filter of it, has the bits that it has alone."""
    x, taps = arguments["x"], arguments["depthwise_kernel"]
    whole, multiplier = depthwise(arguments), taps.shape[3]
    for c in {0, x.shape[3] // 2, x.shape[3] - 1}:
        for q in range(multiplier):
            alone = depthwise(
                arguments, x=x[..., c : c + 1], depthwise_kernel=taps[:, :, [c], q : q + 1]
            )
            assert_same(alone[..., 0], whole[..., c * multiplier + q])


@QUICK
@given(arguments=separables(), activation=st.sampled_from([None, "relu", "gelu"]))
def test_layouts_agree(forced_isa, arguments, activation):
    g, x = rng(1), arguments["x"]
    first = {"x": channels_first(x), "data_format": "NCHW"}
    filters = arguments["pointwise_kernel"].shape[1]
    epilogue = {"batch_norm": fastdw.BatchNorm(*batch_norm(g, filters)), "activation": activation}
    residual = signed(g, separable(arguments).shape)
    for operator, options, terms in (
        (depthwise, {}, {}),
        (separable, epilogue, {"residual": residual}),
    ):
        turned = {name: channels_first(value) for name, value in terms.items()}
        wanted = operator(arguments, **options, **terms)
        got = operator(arguments, **options | turned | first)
        assert_same(got, channels_first(wanted))
    mixer = signed(g, (x.shape[3], filters))
    got = fastdw.pointwise_conv2d(first["x"], mixer, "NCHW", **epilogue)
    assert_same(got, channels_first(fastdw.pointwise_conv2d(x, mixer, **epilogue)))


@QUICK
@given(arguments=separables(), data=st.data())
def test_padding_is_zeros_and_a_shift_of_the_image(forced_isa, arguments, data):
    """Zeros around the image are padding, and more of them move the result."""
    (height, width), (top, left) = arguments["strides"], data.draw(STEPS)
    arguments |= {"padding": PADS}
    for operator in (depthwise, separable):
        whole = operator(arguments)
        zeros = np.pad(arguments["x"], ((0, 0), *PADS, (0, 0)))
        assert_same(operator(arguments, x=zeros, padding="valid"), whole)
        pads = ((6 + top * height, 7), (7 + left * width, 6))
        assert_same(operator(arguments, padding=pads)[:, top:, left:], whole)


@QUICK
@given(arguments=separables())
def test_a_stride_skips_results(forced_isa, arguments):
    """Other kernels run at stride 1; the bits are the same."""
    arguments |= {"padding": PADS}
    height, width = arguments["strides"]
    for operator in (depthwise, separable):
        dense = operator(arguments, strides=1)
        assert_same(operator(arguments), dense[:, ::height, ::width])


@QUICK
@given(arguments=separables())
def test_dilation_is_zeros_in_the_kernel(forced_isa, arguments):
    taps, (dh, dw) = arguments["depthwise_kernel"], arguments["dilation_rate"]
    kh, kw, *channels = taps.shape
    wide = np.zeros(((kh - 1) * dh + 1, (kw - 1) * dw + 1, *channels), F32)
    wide[::dh, ::dw] = taps
    for operator in (depthwise, separable):
        got = operator(arguments, depthwise_kernel=wide, dilation_rate=1)
        assert_same(got, operator(arguments))


@QUICK
@given(arguments=separables(), data=st.data())
def test_images_flip(forced_isa, arguments, data):
    """On whole numbers: a flip turns the order of a sum around."""
    g = rng(data.draw(SEEDS))
    axis = data.draw(st.sampled_from([0, 1]))
    x, taps = integers(g, arguments["x"].shape), integers(g, arguments["depthwise_kernel"].shape)
    pads = list(PADS)
    numbers = arguments | {"x": x, "depthwise_kernel": taps, "padding": tuple(pads), "strides": 1}
    pads[axis] = pads[axis][::-1]
    flipped = {
        "x": np.flip(x, 1 + axis), "depthwise_kernel": np.flip(taps, axis), "padding": tuple(pads),
    }  # fmt: skip
    assert_same(depthwise(numbers, **flipped), np.flip(depthwise(numbers), 1 + axis))


@QUICK
@given(arguments=separables())
def test_an_identity_changes_nothing(forced_isa, arguments):
    middle = depthwise(arguments)
    identity = np.eye(middle.shape[3], dtype=F32)
    assert_same(separable(arguments, pointwise_kernel=identity), middle)
    assert_same(fastdw.pointwise_conv2d(middle, identity), middle)


@QUICK
@given(arguments=separables(), activation=st.sampled_from(support.CLAMPS[1:]))
def test_clamps_come_last(forced_isa, arguments, activation):
    lo, hi = {"relu": (0, np.inf), "relu6": (0, 6)}.get(activation, activation[1:])
    for operator in (depthwise, separable):
        clipped = np.clip(operator(arguments), F32(lo), F32(hi))
        assert_same(operator(arguments, activation=activation), clipped)


@QUICK
@given(arguments=separables(), num_threads=st.integers(2, 5))
def test_threads_change_nothing(forced_isa, arguments, num_threads):
    for operator in (depthwise, separable):
        one = operator(arguments, num_threads=1)
        assert_same(operator(arguments, num_threads=num_threads), one)
