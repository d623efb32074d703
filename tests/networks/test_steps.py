"""Every step of a network alone: values, bits, tails, views, borders of memory, NaN."""

import numpy as np
import pytest
from bounds import mixed, normalized, shares
from fastdw import _core, reference
from fastdw._activations import FUNCTIONS
from plans import Placed, dense, network, planar, run_step, spaced
from support import (
    CURVES,
    TINY,
    Arena,
    Bounded,
    U,
    activated,
    assert_same,
    assert_within,
    exact,
    gamma,
    integers,
    of_function,
    rng,
    signed,
    skip_where_qemu_reads_too_much,
    thin,
)

pytestmark = pytest.mark.emulated

CHANNELS = [*range(1, 34), 40, 96]
NO_PADS = ((0, 0), (0, 0))
F32 = np.float32


def core(curve, a=-np.inf, b=np.inf, slopes=None):
    return _core.Activation(curve, a, b, slopes)


def pool(function, window=(3, 3), strides=(2, 2), padding=NO_PADS, dilation=(1, 1), counted=None):
    return {
        "function": function,
        "window": window,
        "strides": strides,
        "dilation": dilation,
        "padding": padding,
        "counted": counted or NO_PADS,
    }


def pooled(x, settings):
    names = {"dilation": "dilation_rate"}
    return reference.pool(x, **{names.get(name, name): v for name, v in settings.items()})


def table(generator, size, outputs):
    low = generator.integers(0, size, outputs)
    high = np.minimum(low + 1, size - 1)
    weight = np.abs(signed(generator, outputs))
    return tuple(low.tolist()), tuple(high.tolist()), weight


def cases(channels, data=signed, height=9, width=7, seed=0):
    """(kind, output's shape, inputs, settings, what may come out), for so many channels."""
    g = rng(seed + channels)
    shape = (height, width, channels)
    a, b = data(g, shape), data(g, shape)
    gate = data(g, (1, 1, channels))
    scale, offset = data(g, channels), data(g, channels)
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    fused = Bounded(a64 * scale + offset, gamma(2) * (np.abs(a64 * scale) + np.abs(offset)) + TINY)

    def once(value):
        return Bounded(value, U * np.abs(value) + TINY)

    broadcast = np.broadcast_to(gate, shape)
    yield "add", shape, [a, b], {}, once(a64 + b64)
    yield "add", shape, [a, broadcast], {}, once(a64 + gate)
    yield "multiply", shape, [a, b], {}, once(a64 * b64)
    yield "multiply", shape, [a, broadcast], {}, once(a64 * gate)
    with np.errstate(all="ignore"):  # by 0
        yield "divide", shape, [a, b], {}, once(a64 / b64)
        yield "divide", shape, [a, broadcast], {}, once(a64 / gate)
    for name, function in (("maximum", np.maximum), ("minimum", np.minimum)):
        yield name, shape, [a, b], {}, exact(function(a64, b64))
        yield name, shape, [a, broadcast], {}, exact(function(a64, gate.astype(np.float64)))
    yield "affine", shape, [a], {"scale": scale, "offset": offset}, fused
    for settings in (
        {"scale": scale, "offset": offset, "epsilon": 1e-3},
        {"scale": np.ones_like(scale), "offset": np.zeros_like(offset), "epsilon": 0.5},
    ):
        yield "normalize", shape, [a], settings, normalized(a64, **settings)
    for window in (
        pool("max"),
        pool("max", (2, 3), (1, 2), ((1, 1), (2, 1)), (2, 1), ((1, 0), (1, 1))),
        pool("average", (2, 3), (2, 1), ((1, 0), (2, 2))),
        pool("average", (3, 2), (1, 1), ((2, 2), (1, 1)), (1, 2), ((1, 2), (0, 1))),
    ):
        value = pooled(a, window)
        error = np.zeros_like(value)
        if window["function"] == "average":
            error = gamma(12) * pooled(np.abs(a), window) + TINY
        yield "pool", value.shape, [a], window, Bounded(value, error)
    for function in ("max", "average"):
        value = reference.global_pool(a, function)
        error = gamma(height * width + 1) * reference.global_pool(np.abs(a), "average") + TINY
        error = error * (function == "average")
        yield "global_pool", (1, 1, channels), [a], {"function": function}, Bounded(value, error)
    picks = {
        "rows": (-1, 0, 0, 3, height - 1, -1),
        "columns": (1, 2, 3, -1, 0, width - 1, 2),
        "channels": (-1, *range(channels), -1, -1, 0),
        "constant": 0.5,
    }
    for names in ((), ("rows", "columns"), ("channels",), ("rows", "columns", "channels")):
        tables = {name: picks[name] for name in ("constant", *names)}
        value = reference.gather(a, **tables)
        yield "gather", value.shape, [a], tables, exact(value)
    rows, columns = table(g, height, 5), table(g, width, 11)
    bound = mixed(a64, rows, columns)
    yield "bilinear", bound.value.shape, [a], {"rows": rows, "columns": columns}, bound
    yield "softmax", shape, [4 * a], {"beta": 1.0}, shares(4 * a)
    yield "softmax", shape, [a], {"beta": 0.5}, shares(a, 0.5)
    yield "copy", shape, [a], {}, exact(a)


@pytest.mark.parametrize("place", [dense, spaced])
@pytest.mark.parametrize("channels", thin(CHANNELS))
def test_values(isa, channels, place):
    for kind, shape, inputs, settings, expected in cases(channels):
        # A broadcast term keeps the strides of 0.
        placed = [Placed(x, x.base.reshape(-1)) if 0 in x.strides else place(x) for x in inputs]
        got = run_step(isa, kind, shape, placed, settings, place=place)
        assert_within(got, expected)


@pytest.mark.parametrize("channels", [1, 3, 8, 31])
def test_small_integers_are_exact(isa, channels):
    for kind, shape, inputs, settings, expected in cases(channels, integers):
        if kind in ("softmax", "bilinear", "normalize") or settings.get("function") == "average":
            continue
        assert_same(run_step(isa, kind, shape, inputs, settings), expected.value.astype(F32))


def test_averages_of_integers_are_the_nearest_to_the_quotient(isa):
    x = integers(rng(1), (12, 9, 5))
    settings = pool("average", (3, 4), (1, 2), ((1, 1), (2, 2)), counted=((0, 1), (1, 0)))
    wanted = pooled(x, settings).astype(F32)
    assert_same(run_step(isa, "pool", wanted.shape, [x], settings), wanted)
    wanted = reference.global_pool(x, "average").astype(F32)
    got = run_step(isa, "global_pool", (1, 1, 5), [x], {"function": "average"})
    assert_same(got, wanted)


@pytest.mark.parametrize("channels", [1, 3, 5, 16, 24, 33])
@pytest.mark.parametrize("curve", [*CURVES, ("clip", -0.5, 0.75), "prelu"], ids=str)
def test_activations(isa, channels, curve):
    g = rng(channels)
    x = 4 * signed(g, (7, 5, channels))
    name, *numbers = curve if isinstance(curve, tuple) else (curve,)
    if name == "prelu":
        slopes = signed(g, channels)
        function, curve = core("prelu", slopes=slopes), ("prelu", slopes)
    else:
        function = core({"clip": "clamp"}.get(name, name), *numbers)
    expected = activated(exact(x), curve)
    for place in (dense, spaced):
        got = run_step(isa, "activation", x.shape, [x], {"activation": function}, place=place)
        assert_within(got, expected)
    zero, one = np.zeros(channels, F32), np.ones(channels, F32)
    settings = {"scale": one, "offset": zero, "activation": function}
    assert_same(run_step(isa, "affine", x.shape, [x], settings), got)
    settings = {"activation": function}
    assert_same(run_step(isa, "add", x.shape, [x, np.zeros_like(x)], settings), got)
    assert_same(run_step(isa, "multiply", x.shape, [x, np.ones_like(x)], settings), got)


@pytest.mark.parametrize("channels", [1, 5, 16, 33])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions(isa, channels, function):
    x = 4 * signed(rng(channels), (7, 5, channels))
    x.flat[:5] = 0.0, -0.0, np.inf, -np.inf, np.nan
    expected = of_function(x, function)
    for place in (dense, spaced):
        got = run_step(isa, "activation", x.shape, [x], {"activation": core(function)}, place=place)
        assert_within(got, expected)


def test_all_instruction_sets_and_threads_give_the_same_bits():
    isas = [name for name in _core.config()["isas"]["supported"] if name != "scalar"]
    for kind, shape, inputs, settings, _ in cases(33, height=90, width=41):
        wanted = None
        for isa in isas:
            for threads in (1, 2, 3, 8):
                got = run_step(isa, kind, shape, inputs, settings, threads)
                wanted = got if wanted is None else wanted
                assert_same(got, wanted)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 5, 17, 32])
def test_what_is_not_finite_goes_where_it_belongs(isa, channels, value):
    g = rng(channels)
    for kind, shape, inputs, settings, _ in cases(channels):
        x = inputs[0].copy()
        spot = tuple(g.integers(0, size) for size in x.shape)
        x[spot] = value
        if kind == "pool":
            wanted = pooled(x, settings)
        elif kind == "global_pool":
            wanted = reference.global_pool(x, **settings)
        elif kind == "softmax":
            wanted = reference.softmax(x, **settings)
        elif kind == "normalize":
            wanted = reference.normalize(x, **settings)
        elif kind in ("maximum", "minimum"):
            wanted = getattr(np, kind)(x.astype(np.float64), inputs[1])
        elif kind == "bilinear":
            wanted = reference.bilinear(x, settings["rows"], settings["columns"])
        elif kind == "add":
            wanted = x.astype(np.float64) + inputs[1]
        elif kind == "affine":
            wanted = x.astype(np.float64) * settings["scale"] + settings["offset"]
        else:
            continue
        got = run_step(isa, kind, shape, [x, *inputs[1:]], settings)
        for test in (np.isnan, np.isposinf, np.isneginf):
            np.testing.assert_array_equal(test(got), test(wanted), err_msg=kind)


def test_a_pool_of_nothing_is_as_in_the_reference(isa):
    x = signed(rng(0), (2, 2, 3))
    for function in ("max", "average"):
        settings = pool(function, (1, 1), (1, 1), ((1, 1), (0, 2)))
        wanted = pooled(x, settings).astype(F32)
        assert_same(run_step(isa, "pool", wanted.shape, [x], settings), wanted)


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("channels", thin(range(1, 34)))
def test_no_byte_outside_is_touched(isa, channels, at_end):
    skip_where_qemu_reads_too_much(isa, at_end)
    arenas = [Arena() for _ in range(3)]

    def place(arena, array):
        placed = arena.place(np.ascontiguousarray(array), at_end)
        return Placed(placed, placed.reshape(-1))

    for kind, shape, inputs, settings, expected in cases(channels, height=5, width=6):
        placed = [place(arena, x) for arena, x in zip(arenas, inputs, strict=False)]
        out = place(arenas[2], np.full(shape, np.nan, F32))
        made = network(isa, kind, out, placed, settings)
        made.run(tuple(p.flat for p in placed), (out.flat,), 1)
        assert_within(out.view.copy(), expected)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2), (0, 2, 1), (2, 1, 0)])
@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 33, 17), (40, 1, 19), (64, 50, 3)])
def test_copies_turn_axes(isa, axes, shape):
    x = signed(rng(0), shape)
    wanted = np.ascontiguousarray(x.transpose(axes))
    source = Placed(x.transpose(axes), x.reshape(-1))
    for threads in (1, 3):
        assert_same(run_step(isa, "copy", wanted.shape, [source], threads=threads), wanted)
    target = Placed(wanted, wanted.reshape(-1))
    back = Placed(target.view.transpose(np.argsort(axes)), target.flat)
    assert_same(run_step(isa, "copy", shape, [back]), x)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3, 4, 5), (5, 3, 1, 0, 2, 4), (0, 2, 1, 3, 5, 4)])
def test_copies_of_six_axes(isa, axes):
    x = signed(rng(0), (2, 3, 1, 4, 5, 6))
    source = Placed(x.transpose(axes), x.reshape(-1))
    assert_same(
        run_step(isa, "copy", source.view.shape, [source]), np.ascontiguousarray(source.view)
    )
    part = Placed(x[:, ::2, :, 1:3, ::3, 1::2], x.reshape(-1))
    assert_same(run_step(isa, "copy", part.view.shape, [part]), np.ascontiguousarray(part.view))


@pytest.mark.parametrize("place", [dense, planar])
def test_bytes_become_floats(isa, place):
    x = rng(0).integers(0, 256, (7, 33, 3)).astype(np.uint8)
    got = run_step(isa, "copy", x.shape, [place(x)], place=dense)
    assert_same(got, x.astype(F32))


GEOMETRY = (1, 1, 1, 1, 1, 1)


@pytest.mark.parametrize("place", [dense, spaced, planar])
@pytest.mark.parametrize("residual", [False, True])
def test_layers_are_those_of_an_operator(isa, place, residual):
    g = rng(3)
    x, addend = signed(g, (9, 10, 12)), signed(g, (9, 10, 20))
    relu6 = core("clamp", 0.0, 6.0)
    depthwise = _core.Depthwise(signed(g, (3, 3, 12, 1)), signed(g, 12), relu6, isa)
    pointwise = _core.Pointwise(signed(g, (12, 20)), None, core("swish"), isa)
    for first, second in ((depthwise, None), (None, pointwise), (depthwise, pointwise)):
        shape = addend.shape if second else x.shape
        inputs = [x, addend] if residual and second else [x]
        geometry = GEOMETRY if first else (1, 1, 1, 1, 0, 0)
        settings = {"depthwise": first, "pointwise": second, "geometry": geometry}
        got = run_step(isa, "layer", shape, inputs, settings, place=place)
        wanted = np.full((1, *shape), np.nan, F32)
        term = addend[np.newaxis] if len(inputs) > 1 else None
        _core.Operator(first, second).run(x[np.newaxis], term, wanted, geometry, 1)
        assert_same(got, wanted[0])
