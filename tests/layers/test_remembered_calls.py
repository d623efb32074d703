"""A call like one of the last goes past the checks in Python; every other call meets them."""

import concurrent.futures
import itertools
import threading

import fastdw
import numpy as np
import pytest
import support
from fastdw.layers import _call

pytestmark = pytest.mark.emulated

F32 = np.float32
SHAPE = (2, 6, 5, 4)


def make(kind="separable", data_format="NHWC"):
    taps = support.signed(support.rng(1), (3, 3, 4, 1))
    mixer = support.signed(support.rng(2), (4, 4))
    if kind == "depthwise":
        return fastdw.DepthwiseConv2D(taps, padding="same", data_format=data_format)
    if kind == "pointwise":
        return fastdw.PointwiseConv2D(mixer, data_format=data_format)
    return fastdw.SeparableConv2D(taps, mixer, padding="same", data_format=data_format)


def image(shape=SHAPE, seed=3):
    return support.signed(support.rng(seed), shape)


@pytest.fixture
def no_checks(monkeypatch):
    def refuse(*_):
        msg = "the checks were asked"
        raise AssertionError(msg)

    def switch():
        monkeypatch.setattr(_call, "as_array", refuse)

    return switch


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("kind", ["depthwise", "pointwise", "separable"])
def test_the_second_call_needs_no_checks(kind, rank, data_format, no_checks):
    layer = make(kind, data_format)
    first, second = (image((2, 4, 6, 4)[-rank:], seed) for seed in (3, 4))
    wanted = [make(kind, data_format)(x) for x in (first, second)]
    out = np.full_like(wanted[0], np.nan)
    np.testing.assert_array_equal(layer(first), wanted[0])
    no_checks()
    for x, y in zip((second, first), wanted[::-1], strict=True):
        np.testing.assert_array_equal(layer(x), y)
        assert layer(x, out=out, num_threads=2) is out
        np.testing.assert_array_equal(out, y)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
@pytest.mark.parametrize("kind", ["depthwise", "pointwise", "separable"])
def test_four_shapes_need_no_checks(kind, data_format, no_checks):
    layer = make(kind, data_format)
    shapes = [(2, 4, 5, 4), (1, 4, 5, 4), (4, 5, 4), (2, 4, 6, 4)]
    images = [image(shape, seed) for seed, shape in enumerate(shapes)]
    wanted = [make(kind, data_format)(x) for x in images]
    for x in images:
        layer(x)
        for _ in range(4):  # checked again, and remembered already
            layer(x[..., ::-1])
    no_checks()
    for i in (0, 3, 1, 1, 2, 0, 2, 3):
        np.testing.assert_array_equal(layer(images[i]), wanted[i])


def test_a_fifth_shape_takes_the_place_of_the_oldest(no_checks):
    layer = make()
    images = [image((1, 4 + i, 5, 4)) for i in range(5)]
    for x in images:
        layer(x)
    no_checks()
    for x in images[1:]:
        layer(x)
    with pytest.raises(AssertionError, match="the checks were asked"):
        layer(images[0])


def test_threads_of_four_shapes_do_not_drop_each_others(no_checks):
    layer = make()
    images = [image((1, 5 + i, 9, 4), seed=i) for i in range(4)]
    start = threading.Barrier(8)

    def work(i):
        start.wait()
        for _ in range(50):
            layer(images[i % 4])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    no_checks()
    for x in images:
        layer(x)


@pytest.mark.parametrize("given", ["x", "x and out"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (1, 1), (0, 0, 0)])
@pytest.mark.parametrize("kind", ["depthwise", "pointwise", "separable"])
def test_before_the_first_call_there_is_no_last_one(kind, shape, given):
    layer = make(kind)
    with pytest.raises(ValueError, match=r"^x"):
        layer(np.zeros(shape, F32), out=None if given == "x" else np.zeros(shape, F32))
    np.testing.assert_array_equal(layer(image()), make(kind)(image()))


@pytest.mark.parametrize("kind", ["pointwise", "separable"])
def test_with_and_without_a_residual(kind, no_checks):
    layer, x, residual = make(kind), image(), image(seed=5)
    with_it, without = make(kind)(x, residual=residual), make(kind)(x)
    layer(x)
    no_checks()
    for addend, wanted in ((residual, with_it), (None, without), (residual, with_it)):
        np.testing.assert_array_equal(layer(x, residual=addend), wanted)


class Subclass(np.ndarray):
    pass


def unaligned(x):
    return np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(F32).reshape(x.shape)


# Calls that are right, and yet not like the last one.
DIFFERENT = {
    "another size": lambda x: {"x": image((2, 7, 5, 4))},
    "one image": lambda x: {"x": x[1].copy()},
    "strided": lambda x: {"x": np.repeat(x, 2, axis=2)[:, :, ::2]},
    "reversed": lambda x: {"x": x[:, ::-1]},
    "Fortran order": lambda x: {"x": np.asfortranarray(x)},
    "a subclass": lambda x: {"x": x.view(Subclass)},
    "a buffer": lambda x: {"x": memoryview(x)},
    "unaligned": lambda x: {"x": unaligned(x)},
    "a dtype with metadata": lambda x: {"x": x.view(np.dtype(F32, metadata={"a": 1}))},
    "a strided residual": lambda x: {"x": x, "residual": np.repeat(x, 2, axis=3)[..., ::2]},
    "many threads": lambda x: {"x": x, "num_threads": 1024},
    "threads of another type": lambda x: {"x": x, "num_threads": np.int64(2)},
    "no images": lambda x: {"x": x[:0]},
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_other_right_calls(name, no_checks):
    layer = make()
    layer(image())
    arguments = DIFFERENT[name](image())
    np.testing.assert_array_equal(layer(**arguments), make()(**arguments))
    np.testing.assert_array_equal(layer(image()), make()(image()))
    no_checks()
    layer(image())


def test_a_residual_that_is_the_output(no_checks):
    layer, x, out = make(), image(), image(seed=5)
    wanted = make()(x, residual=out)
    layer(x)
    no_checks()
    assert layer(x, residual=out, out=out) is out
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("start", [-1, 1, 17, 239, -239])
def test_overlap_is_still_seen(start):
    memory = np.ones(3 * 240, F32)
    x, out = (memory[240 + i : 480 + i].reshape(SHAPE) for i in (0, start))
    apart = np.ones(SHAPE, F32)
    layer = make()
    layer(x)
    for arguments in ({"x": x}, {"x": apart, "residual": x}):
        with pytest.raises(ValueError, match=r"out .*overlap"):
            layer(**arguments, out=out)
    assert np.all(memory == 1)


def test_results_are_new_and_begin_on_a_line():
    layer = make()
    for shape in ((1, 4, 4, 4), (1, 64, 64, 4), (1, 65, 67, 4)):
        x = image(shape)
        results = [layer(x) for _ in range(3)]
        for a, b in itertools.combinations(results, 2):
            assert not np.shares_memory(a, b)
        for y in results:
            assert y.dtype == F32
            assert y.flags.c_contiguous
            assert y.flags.writeable
            assert y.nbytes < 2**16 or y.ctypes.data % 64 == 0


def test_threads_with_shapes_of_their_own():
    layer = make()
    images = [image((1, 5 + i, 9, 4), seed=i) for i in range(6)]
    wanted = [make()(x) for x in images]

    def work(first):
        turns = [k % 6 for k in range(first, first + 200, 1 + first % 2)]
        return all(np.array_equal(layer(images[k]), wanted[k]) for k in turns)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(12)))


def test_the_core_refuses_shapes_that_do_not_fit():
    operator = make()._operator
    geometry = (1, 1, 1, 1, 1, 1)
    for x, out, place in [
        ((2, 6, 5, 3), SHAPE, geometry),
        (SHAPE, (2, 6, 5, 5), geometry),
        (SHAPE, (1, 6, 5, 4), geometry),
        ((5, 4), (5, 4), geometry),
        ((1, 2, 6, 5, 4), SHAPE, geometry),
        ((2, 0, 5, 4), SHAPE, geometry),
        (SHAPE, SHAPE, (0, 1, 1, 1, 1, 1)),
    ]:
        with pytest.raises(ValueError, match=r"\w+"):
            operator.remember(x, out, place)
    with pytest.raises(TypeError):
        operator.replay(image())
    assert operator.replay(image(), None, None, 1) is None
