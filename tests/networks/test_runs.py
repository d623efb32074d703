"""Runs of a whole network of the core: batches, threads, its memory, and plans that cannot be."""

import itertools
import mmap
import pathlib
import threading

import numpy as np
import pytest
from fastdw import _core
from support import assert_same, rng, signed

C = 24
SIDE = 20
ARENA = 2 * SIDE * SIDE * C
IMAGE = ((SIDE, SIDE, C), (SIDE * C, C, 1))
ONE = ((1, "float32"),)
VECTOR = ((1, 1, C), (0, 0, 1))
SPREAD = ((SIDE, SIDE, C), (0, 0, 1))
SECOND = SIDE * SIDE * C  # offset of the arena's second image

CLAMP = _core.Activation("clamp")
NORMAL = {"scale": np.ones(C, np.float32), "offset": np.ones(C, np.float32), "epsilon": 0.5}
STATM = pathlib.Path("/proc/self/statm")


def steps(isa, generator=None):
    """A small network of every kind of step: (kind, operands, settings)."""
    g = generator or rng(0)
    depthwise = _core.Depthwise(signed(g, (3, 3, C, 1)), None, CLAMP, isa)
    pointwise = _core.Pointwise(signed(g, (C, C)), None, CLAMP, isa)
    patches = _core.Pointwise(signed(g, (3 * 2 * C, C)), None, CLAMP, isa)
    identity = tuple(range(SIDE)), tuple(range(SIDE)), np.zeros(SIDE, np.float32)
    pool = {
        "function": "max",
        "window": (3, 3),
        "strides": (1, 1),
        "dilation": (1, 1),
        "padding": ((1, 1), (1, 1)),
        "counted": ((0, 1), (1, 0)),
    }
    first, second = (0, 0, *IMAGE), (0, SECOND, *IMAGE)
    gate = (0, SECOND, *VECTOR)
    gather = {"rows": tuple(range(SIDE)), "channels": (*range(C - 1), -1), "constant": 0.5}
    affine = {"scale": signed(g, C), "offset": signed(g, C), "activation": CLAMP}
    layer = {"depthwise": depthwise, "pointwise": pointwise, "geometry": (1, 1, 1, 1, 1, 1)}
    dense = {"pointwise": patches, "geometry": (1, 1, 1, 2, 1, 1), "kernel_size": (3, 2)}
    return (
        ("copy", (first, (1, 0, *IMAGE)), {}),
        ("layer", (second, first), dense),
        ("activation", (first, second), {"activation": _core.Activation("tanh")}),
        ("layer", (second, first, first), layer),
        ("pool", (first, second), pool),
        ("affine", (first, first), affine),
        ("gather", (second, first), gather),
        ("bilinear", (first, second), {"rows": identity, "columns": identity}),
        ("normalize", (first, first), dict(NORMAL)),
        ("global_pool", (gate, first), {"function": "average"}),
        ("softmax", (gate, gate), {"beta": 1.0}),
        ("multiply", (first, first, (0, SECOND, *SPREAD)), {}),
        ("add", ((2, 0, *IMAGE), first, (1, 0, *IMAGE)), {"activation": CLAMP}),
    )


def network(isa, plan=None, arena=ARENA):
    size = SIDE * SIDE * C
    return _core.Network(arena, ((size, "float32"),), ((size, "float32"),), plan or steps(isa), isa)


def run(made, x, threads=1):
    y = np.full_like(x, np.nan)
    made.run((x,), (y,), threads)
    return y


def images(count, seed=1):
    return signed(rng(seed), (count, SIDE, SIDE, C))


def test_images_of_a_batch_are_computed_one_by_one(isa):
    made = network(isa)
    x = images(3)
    wanted = np.stack([run(made, image) for image in x])
    assert np.all(np.isfinite(wanted))
    for threads in (1, 2, 5):
        assert_same(run(made, x, threads), wanted)
    assert run(made, x[:0]).shape == (0, SIDE, SIDE, C)


def test_all_instruction_sets_give_the_same_bits():
    isas = [name for name in _core.config()["isas"]["supported"] if name != "scalar"]
    results = [run(network(isa), images(2), threads) for isa in isas for threads in (1, 3)]
    for result in results:
        assert_same(result, results[0])


def test_any_number_of_threads_may_run_one_network():
    made = network(None)
    x = images(16)
    wanted = run(made, x)
    failures = []

    def work(i):
        for _ in range(20):
            y = run(made, x[i : i + 1], 1 + i % 3)
            if not np.array_equal(y[0], wanted[i]):
                failures.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_profile_has_a_time_for_every_step():
    made = network(None)
    x = images(2)
    y = np.full_like(x, np.nan)
    times = made.profile((x,), (y,), 1)
    assert len(times) == len(steps(None))
    assert all(isinstance(time, int) and time > 0 for time in times)
    assert_same(y, run(made, x))


def test_the_arena_is_asked_for_before_anything_is_written():
    made = network(None, arena=1 << 45)
    x = images(1)
    y = np.full_like(x, np.nan)
    with pytest.raises(MemoryError):
        made.run((x,), (y,), 1)
    assert np.all(np.isnan(y))


def test_weights_live_as_long_as_the_network():
    plan = steps(None)
    made = network(None, plan)
    wanted = run(made, images(1))
    for _, _, settings in plan:
        settings.clear()
    del plan
    assert_same(run(made, images(1)), wanted)


def arrays():
    x = images(2)
    return x, np.zeros_like(x)


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: ((x,), (y,), 0),
        lambda x, y: ((x,), (y,), 1025),
        lambda x, y: ((x, x), (y,), 1),
        lambda x, y: ((), (y,), 1),
        lambda x, y: ((x,), (), 1),
        lambda x, y: ([x], (y,), 1),
        lambda x, y: ((x,), y, 1),
        lambda x, y: ((x.astype(np.float64),), (y,), 1),
        lambda x, y: ((x,), (y.astype(np.uint8),), 1),
        lambda x, y: ((x[:1],), (y,), 1),
        lambda x, y: ((x[:, :-1],), (y[:, :-1],), 1),
        lambda x, y: ((x.reshape(-1)[:-1],), (y.reshape(-1)[:-1],), 1),
        lambda x, y: ((x.transpose(0, 2, 1, 3),), (y,), 1),
        lambda x, y: ((x,), (y[::-1],), 1),
        lambda x, y: ((None,), (y,), 1),
        lambda x, y: ((np.broadcast_to(x[:1], x.shape),), (y,), 1),
    ],
)
def test_arrays_that_do_not_fit(make):
    with pytest.raises(ValueError):  # noqa: PT011
        network(None).run(*make(*arrays()))


def test_calls_on_anything_but_dense_arrays_are_left_to_python():
    made, x = network(None), images(2)
    one = (SIDE, SIDE, C)
    shapes = ((one,), (one,))
    assert_same(made.call((x,), shapes, 1)[0], run(made, x))
    assert_same(made.call((x[0],), shapes, 1)[0], run(made, x[0]))
    for given in ((x[:, ::2],), (x[None],), (x[0, 0],), (None,), (), (x, x), (x.astype(">f4"),)):
        assert made.call(given, shapes, 1) is None
    misshapen = (None, (), ((one,),), (one, one), (((SIDE, "x", C),), (one,)), ((one,), (3,)))
    for wrong in (*misshapen, *(((one,), (one,) * count) for count in (0, 2, 50))):
        with pytest.raises(ValueError):  # noqa: PT011
            made.call((x,), wrong, 1)
    for size in ((SIDE, SIDE, C + 1), (-SIDE, SIDE, C), ()):
        with pytest.raises(ValueError):  # noqa: PT011
            made.call((x,), ((one,), (size,)), 1)
    with pytest.raises(MemoryError):
        made.call((x,), ((one,), ((2**50, 2**20),)), 1)


def test_outputs_that_may_not_be_written():
    x, y = arrays()
    y.flags.writeable = False
    with pytest.raises(ValueError, match="array"):
        network(None).run((x,), (y,), 1)


ODD = (-1, 0, 1, 7, 2**30, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63), 2**80, None, "x", 1.5, (), ())


def numbers(value, path=()):
    """The places of all plain numbers in nested tuples and dicts."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, (tuple, dict)):
            yield from numbers(item, (*path, key))
            yield (*path, key)
        elif isinstance(item, (int, float, str, np.ndarray)):
            yield (*path, key)


def replaced(value, path, new):
    if not path:
        return new
    if isinstance(value, dict):
        return value | {path[0]: replaced(value[path[0]], path[1:], new)}
    items = list(value)
    items[path[0]] = replaced(items[path[0]], path[1:], new)
    return tuple(items)


def test_a_plan_with_any_number_wrong_is_refused_or_runs():
    """Whatever a step says: ValueError, or a run that stays in its memory."""
    x, y = arrays()
    plan = steps(None)
    refused = kept = 0
    for path, odd in itertools.product(numbers(plan), ODD):
        try:
            made = network(None, replaced(plan, path, odd))
        except ValueError:
            refused += 1
            continue
        kept += 1
        made.run((x,), (y,), 1)
    assert refused > 5 * kept > 0


def without(step, name):
    kind, operands, settings = step
    return kind, operands, {key: value for key, value in settings.items() if key != name}


def test_every_setting_must_be_there_and_no_other():
    plan = steps(None)
    free = {"activation", "rows", "columns", "channels", "depthwise", "pointwise", "kernel_size"}
    for i, step in enumerate(plan):
        kind, operands, settings = step
        for name in settings:
            if name not in free or (kind, name) in [("bilinear", "rows"), ("bilinear", "columns")]:
                with pytest.raises(ValueError, match=name):
                    network(None, (*plan[:i], without(step, name), *plan[i + 1 :]))
        with pytest.raises(ValueError, match="strange settings"):
            network(None, (*plan[:i], (kind, operands, settings | {"x": 1}), *plan[i + 1 :]))
        for number in (0, 1, 6):
            wrong = (kind, (operands * 3)[:number], settings)
            with pytest.raises(ValueError, match="number of operands"):
                network(None, (*plan[:i], wrong, *plan[i + 1 :]))


IMAGES = tuple((0, offset, *IMAGE) for offset in (0, SECOND))


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (("copy", ((1, 0, *IMAGE), IMAGES[0]), {}), "an input is written to"),
        (("copy", ((0, SECOND + 1, *IMAGE), IMAGES[0]), {}), "beyond the buffer"),
        (("copy", ((0, -1, *IMAGE), IMAGES[0]), {}), "beyond the buffer"),
        (("copy", ((5, 0, *IMAGE), IMAGES[0]), {}), "buffer"),
        (("copy", ((3, 0, *IMAGE), IMAGES[0]), {}), "bytes"),
        (("add", (IMAGES[0], IMAGES[0], (3, 0, *IMAGE)), {}), "bytes"),
        (("add8", (IMAGES[0], IMAGES[0], IMAGES[0]), {}), "bytes"),
        (("copy", ((-1, 0, *IMAGE), IMAGES[0]), {}), "buffer"),
        (("copy", (None, IMAGES[0]), {}), "buffer"),
        (("copy", (IMAGES[1], None), {}), "buffer"),
        (("add", (IMAGES[0], IMAGES[0], None), {}), "buffer"),
        (("copy", ((0, 0, *SPREAD), IMAGES[0]), {}), "more than once"),
        (("copy", (IMAGES[1], (0, 0, *SPREAD)), {}), "more than once"),
        (("copy", ((0, 0, (SIDE,) * 3, (1, 1, 1)), IMAGES[0]), {}), "more than once"),
        (("copy", (IMAGES[1], (0, 0, (SIDE, SIDE), (SIDE, 1))), {}), "x"),
        (("copy", ((0, 0, (1,) * 7, (0,) * 7), (0, 0, (1,) * 7, (0,) * 7)), {}), "axes"),
        *((("softmax", IMAGES, {"beta": b}), "beta") for b in (-1.0, np.nan, np.inf)),
        *((("normalize", IMAGES, NORMAL | {"epsilon": e}), "epsilon") for e in (-1.0, np.nan)),
        (("normalize", IMAGES, NORMAL | {"offset": np.ones(C + 1, np.float32)}), "offset"),
        (("activation", IMAGES, {"activation": 1}), "activation"),
        (("layer", IMAGES, {"geometry": (1, 1, 1, 1, 0, 0)}), "parts"),
        (("layer", IMAGES, steps(None)[1][2] | {"kernel_size": (1, 1)}), "x"),
        (("layer", IMAGES, steps(None)[1][2] | {"kernel_size": (0, 6)}), "kernel_size"),
        (("layer", IMAGES, steps(None)[1][2] | {"kernel_size": (2**40, 1)}), "kernel_size"),
        (("layer", IMAGES, steps(None)[1][2] | {"kernel_size": 3}), "tuple"),
        (("layer", IMAGES, steps(None)[3][2] | {"kernel_size": (3, 3)}), "kernel_size"),
        *(((word, IMAGES, {}), "kind of step") for word in ("dance", "")),
    ],
)
def test_plans_that_are_refused(step, reason):
    with pytest.raises(ValueError, match=reason):
        network(None, (step,))


@pytest.mark.parametrize("kind", ["add", "affine", "softmax", "normalize", "pool", "gather"])
def test_channels_must_lie_side_by_side(kind):
    step = next(s for s in steps(None) if s[0] == kind)
    turned = ((SIDE, SIDE, C), (SIDE, 1, SIDE * SIDE))
    for place in range(len(step[1])):
        operands = list(step[1])
        operands[place] = (0, 0, *turned)
        with pytest.raises(ValueError, match=r"x|out|second"):
            network(None, ((kind, tuple(operands), step[2]),))


def test_weights_of_another_instruction_set():
    isas = _core.config()["isas"]["supported"]
    if len(isas) < 2:
        pytest.skip("one instruction set alone")
    with pytest.raises(ValueError, match="instruction sets differ"):
        network(isas[0], steps(isas[1]))


@pytest.mark.parametrize(
    ("arena", "inputs", "outputs"),
    [
        (-1, ((1, "float32"),), ONE),
        (2**62, ((1, "float32"),), ONE),
        (2**70, ((1, "float32"),), ONE),
        (1, ((0, "float32"),), ONE),
        (1, ((1, "float64"),), ONE),
        (1, ((1, b"float32"),), ONE),
        (1, ((1,),), ONE),
        (1, (1,), ONE),
        (1, None, ONE),
        (1, ((1, "float32"),), ((0, "float32"),)),
        (1, ((1, "float32"),), 1),
    ],
)
def test_buffers_that_are_refused(arena, inputs, outputs):
    one = ((1, 1, 1), (0, 0, 0))
    plan = (("copy", ((2, 0, *one), (1, 0, *one)), {}),)
    _core.Network(1, ((1, "float32"),), ONE, plan)
    with pytest.raises(ValueError):  # noqa: PT011
        _core.Network(arena, inputs, outputs, plan)


@pytest.mark.parametrize("plan", [(), None, [], (1,), ((),), ((1, 2, 3),)])
def test_steps_that_are_none(plan):
    with pytest.raises(ValueError):  # noqa: PT011
        _core.Network(1, ((1, "float32"),), ONE, plan)


def pool8(rows, padding, window=2, dilation=1):
    """A network of one maximum of bytes down a column of so many rows."""
    outputs = rows + sum(padding) - (window - 1) * dilation
    settings = {
        "function": "max",
        "window": (window, 1),
        "strides": (1, 1),
        "dilation": (dilation, 1),
        "padding": (padding, (0, 0)),
        "counted": ((0, 0), (0, 0)),
        "origin": 0,
        "low": 0,
        "high": 255,
        "flip": 0,
    }
    out, x = ((buffer, 0, (size, 1, 1), (1, 1, 1)) for buffer, size in ((2, outputs), (1, rows)))
    step = ("pool8", (out, x), settings)
    return _core.Network(0, ((rows, "uint8"),), ((outputs, "uint8"),), (step,))


@pytest.mark.skipif(not STATM.exists(), reason="Linux tells what a process holds")
def test_pools_of_bytes_hold_nothing_for_each_row():
    def resident():
        return int(STATM.read_text().split()[1]) * mmap.PAGESIZE

    before = resident()
    made = pool8(2**24, (0, 0))
    assert resident() - before < 2**22
    assert made is not None


def test_pools_of_bytes_whose_borders_are_vast():
    with pytest.raises(ValueError, match="pads"):
        pool8(2, (2**30 - 1, 2**30 - 1), window=2**30)
    with pytest.raises(ValueError, match="window"):
        pool8(2, (2, 0))


@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_pools_of_bytes_at_borders(dilation):
    x = rng(dilation).integers(0, 256, 9).astype(np.uint8)
    reach = 2 * dilation
    made = pool8(9, (reach, reach), window=3, dilation=dilation)
    y = np.zeros(9 + reach, np.uint8)
    made.run((x,), (y,), 1)
    cells = [[i - reach + k * dilation for k in range(3)] for i in range(len(y))]
    np.testing.assert_array_equal(y, [max(x[j] for j in row if 0 <= j < 9) for row in cells])
