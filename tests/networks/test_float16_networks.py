"""Networks whose convolutions add in float16: step by step the bits of their definition."""

import copy
import itertools
import pickle

import fastdw
import numpy as np
import pytest
from blocks import ALL, PADS, act, affine, builder_of, conv, dw
from bounds import bound, run_program, traced
from fastdw import Network, _core, ops, reference
from fastdw.network._graph import rounded
from fastdw.network._lower import Lowerer, lower
from fastdw.network._rewrite import rewrite
from small_networks import NETWORKS, image
from support import assert_same, assert_within, rng, signed

pytestmark = pytest.mark.emulated

F16, F32 = np.float16, np.float32
ADDING = ("conv2d", "depthwise", "separable", "expand_depthwise", "inverted")
WINDOW = ("strides", "padding", "dilation_rate")


def part(attrs, prefix):
    return {name: attrs[f"{prefix}{name}"] for name in ("bias", "activation")}


def twin(node, operands):
    """What a node gives that adds in float16."""
    attrs, (x, *more) = node.attrs, operands
    if attrs.get("pre_activation") is not None:
        x = np.asarray(reference.activate(x, attrs["pre_activation"]), F32)
    if len(more) > 1:
        x = x.astype(F16).astype(F32) * more[1].reshape(-1)
    x, residual = x.astype(F16), more[0].astype(F16) if more and more[0] is not None else None
    window = {name: attrs[name] for name in WINDOW}
    if node.op == "conv2d":
        last = {"groups": attrs["groups"], "residual": residual} | part(attrs, "")
        return reference.float16_conv2d(x, attrs["kernel"], **window, **last)
    if "expand_kernel" in attrs:
        x = reference.float16_pointwise_conv2d(x, attrs["expand_kernel"], **part(attrs, "expand_"))
    prefix = "" if node.op == "depthwise" else "depthwise_"
    taps = attrs[f"{prefix}kernel"]
    x = reference.float16_depthwise_conv2d(x, taps, **window, **part(attrs, prefix))
    if "pointwise_kernel" not in attrs:
        return x
    last = {"residual": residual} | part(attrs, "")
    return reference.float16_pointwise_conv2d(x, attrs["pointwise_kernel"], **last)


def clamps(node):
    values = [value for name, value in node.attrs.items() if name.endswith("activation")]
    return all(value is None or str(value).startswith("relu") for value in values)


def check_steps(graph, arrays):
    """Every step from the operands that it really had; its values, by name."""
    values = traced(graph, arrays, "float16")
    for node in graph.nodes:
        operands = [values.get(name) for name in node.inputs]
        got = values[node.output]
        if node.op not in ADDING:
            assert_within(got, bound(node, operands))
            continue
        wanted = twin(node, operands)
        assert_same(got, got.astype(F16).astype(F32))
        if clamps(node):
            assert_same(got, wanted.astype(F32))
        else:  # a curve of float32, and then it is rounded
            np.testing.assert_allclose(got, wanted.astype(F32), rtol=2**-10, atol=2**-24)
    return values


def mobile(b, x):
    """Blocks with a shortcut, a stride, a gate, and a part whose middle is the narrower one."""
    x = conv(b, x, 10, 3, 1, strides=(2, 2), activation="relu6")
    y = dw(b, conv(b, x, 30, seed=2, activation="relu6"), activation="relu6")
    x = b.add("add", [x, conv(b, y, 10, seed=5)])
    y = dw(b, conv(b, x, 20, seed=6, activation="relu"), 5, strides=(2, 2), activation="relu6")
    gate = conv(b, b.add("global_pool", y, function="average"), 6, seed=7, activation="relu")
    gate = act(b, conv(b, gate, 20, seed=8), "hard_sigmoid")
    x = conv(b, b.add("multiply", [y, gate]), 12, seed=9)
    x = conv(b, dw(b, act(b, x, "relu"), seed=10), 9, seed=11)
    around = {"dilation_rate": (2, 2), "padding": ((2, 2), (2, 2))}
    return conv(b, dw(b, x, multiplier=2, seed=12, **around), 8, seed=13)


def dense(b, x):
    """Windows, groups, pools, joined channels, a second reader in floats."""
    x = conv(b, x, 12, 3, 1, activation="relu")
    y = conv(b, x, 16, 3, 2, groups=4)
    z = b.add("pool", x, function="max", window=(3, 3), strides=(1, 1), padding=PADS)
    x = b.add("concat", [y, conv(b, z, 5, seed=3)], axis=2)
    y = conv(b, x, 21, 3, 4, dilation_rate=(1, 2), padding=((1, 1), (2, 2)))
    y = conv(b, y, 21, seed=5)
    x = b.add("add", [x, y], activation="relu6")
    turned = b.add("transpose", x, axes=(1, 0, 2))
    return conv(b, affine(b, turned, 0.5, 1), 70, 3, seed=6, strides=(3, 1))


def built(make):
    b, x = builder_of(14, 11, 3)
    x = b.add("global_pool", make(b, x), function="average")
    y = b.add("softmax", conv(b, x, 11, seed=14, bias=signed(rng(1), 11)))
    return rounded(rewrite(b.build([y, x]))[0])


@pytest.mark.parametrize("make", [mobile, dense])
@pytest.mark.parametrize("kept", [0, 1 << 20])
def test_every_step(isa16, monkeypatch, make, kept):
    monkeypatch.setattr(_core, "kept_bytes", lambda isa: kept)
    graph = built(make)
    x = signed(rng(2), (14, 11, 3)) * F32(3)
    values = check_steps(graph, [x])
    assert {node.op for node in graph.nodes} >= ({"inverted"} if make is mobile else {"conv2d"})
    program = lower(graph, "float16")
    wanted = [values[name] for name in graph.outputs]
    for threads in range(1, 9):
        for got, value in zip(run_program(program, graph, [x], threads), wanted, strict=True):
            assert_same(got, value)


def test_what_a_gate_multiplies(isa16):
    """Halves of the arena, floats of an input; pools read halves too."""
    b, x = builder_of(9, 7, 21)
    y = dw(b, x, activation="relu")
    for function in ("average", "max"):
        gate = act(b, b.add("global_pool", y, function=function), "hard_sigmoid")
        y = conv(b, b.add("multiply", [y, gate]), 21, activation="relu6")
    gate = act(b, b.add("global_pool", x, function="average"), "sigmoid")
    z = conv(b, b.add("multiply", [x, gate]), 5, seed=3)
    graph = rounded(rewrite(b.build([y, z]))[0])
    assert [len(node.inputs) for node in graph.nodes if node.op == "conv2d"] == [3, 3, 3]
    lowerer = Lowerer(graph, "float16")
    assert len(lowerer.halves) == 2
    data = signed(rng(5), (9, 7, 21)) * F32(3)
    values = check_steps(graph, [data])
    for threads in range(1, 9):
        for got, name in zip(
            run_program(lower(graph, "float16"), graph, [data], threads), graph.outputs, strict=True
        ):
            assert_same(got, values[name])


EXPANDED = [
    # image, expanded, kernel, attributes of the window
    ((40, 24, 4), 200, 3, {"padding": PADS}),  # rows of a slab move up
    ((39, 23, 5), 203, 5, {"padding": ((2, 1), (0, 3)), "strides": (2, 2)}),
    ((7, 60, 3), 800, 3, {"padding": PADS}),  # a row of a slab does not fit
    ((9, 60, 3), 800, 3, {"padding": PADS, "strides": (2, 1), "dilation_rate": (2, 3)}),
    ((12, 9, 8), 16, 3, {"padding": ((4, 4), (3, 3)), "strides": (1, 2)}),  # windows in the padding
    ((11, 8, 8), 24, 1, {"strides": (3, 3)}),  # rows that none reads
]


@pytest.mark.parametrize("case", EXPANDED, ids=str)
@pytest.mark.parametrize("projected", [True, False])
def test_blocks_without_an_expanded_image(isa16, monkeypatch, case, projected):
    """As those with one, where it is small."""
    shape, expanded, size, where = case
    b, x = builder_of(*shape)
    y = conv(b, x, expanded, activation="relu6")
    y = dw(b, y, size, **where, activation="relu")
    graph = rounded(rewrite(b.build(conv(b, y, 6) if projected else y))[0])
    assert [node.op for node in graph.nodes] == ["inverted" if projected else "expand_depthwise"]
    data = signed(rng(7), shape)
    monkeypatch.setattr(_core, "kept_bytes", lambda isa: 1 << 30)
    kept = lower(graph, "float16")
    monkeypatch.setattr(_core, "kept_bytes", lambda isa: 0)
    slabs = lower(graph, "float16")
    assert slabs.arena.size < kept.arena.size
    wanted = run_program(kept, graph, [data])[0]
    for threads in (1, 2, 8):
        assert_same(run_program(slabs, graph, [data], threads)[0], wanted)


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_halves_in_the_arena_change_nothing(isa16, build):
    """Against all values kept as floats; whole networks, near those with sums of float32."""
    graph = build()
    network, plain = (Network._from_graph(graph, accumulate=a) for a in ("float16", "float32"))
    assert Lowerer(network._graph, "float16").halves
    x = image(graph)
    values = traced(network._graph, [x], "float16")
    wanted = plain(x)
    for threads in (1, 3):
        results = network(x, num_threads=threads)
        single = not isinstance(results, tuple)
        for name, got, near in zip(
            network._graph.outputs,
            (results,) if single else results,
            (wanted,) if single else wanted,
            strict=True,
        ):
            assert_same(got, values[name])
            assert not np.array_equal(got, near)
            np.testing.assert_allclose(got, near, rtol=0.05, atol=0.02)


def test_fused_blocks_are_those_of_single_steps(isa16):
    """What lies between the convolutions of a block is float16 in both."""
    b, x = builder_of(14, 11, 3)
    alone = b.build(mobile(b, x))
    whole = [rounded(rewrite(alone, enabled=names)[0]) for names in (("residual",), ALL)]
    assert len(whole[0].nodes) > len(whole[1].nodes)
    x = signed(rng(3), (14, 11, 3))
    one, other = (run_program(lower(g, "float16"), g, [x])[0] for g in whole)
    assert_same(one, other)


def small(**options):
    x = fastdw.Input((9, 8, 6), "image")
    g = rng(4)
    y = fastdw.InvertedResidual(
        signed(g, (6, 24)), signed(g, (3, 3, 24)), signed(g, (24, 6)), padding="same"
    )(x, residual=x)
    y = ops.max_pool(fastdw.Conv2D(signed(g, (3, 3, 6, 8)), activation="relu")(y), 2)
    return Network(x, fastdw.PointwiseConv2D(signed(g, (8, 5)))(y), **options)


def test_an_option_of_loading(isa16, tmp_path):
    network, path = small(accumulate="float16"), tmp_path / "small.fdw"
    x = signed(rng(5), (2, 9, 8, 6))
    wanted = network(x)
    assert network.accumulate == "float16"
    network.save(path)
    assert path.read_bytes() == small()._bytes()  # nothing of it is stored
    assert Network.load(path).accumulate == "float32"
    for other in (
        Network.load(path, accumulate="float16"),
        Network.load(path.read_bytes(), accumulate="float16"),
        pickle.loads(pickle.dumps(network)),
    ):
        assert other.accumulate == "float16"
        assert_same(other(x), wanted)
    camera = network.rescale_input(2.0)
    assert camera.accumulate == "float16"
    assert_same(camera(x / 2), wanted)


def test_what_summary_says(isa16, capsys):
    network, plain = small(accumulate="float16"), small()
    sums = [(s["step"], s["accumulate"], s["nbytes"]) for s in network.summary("dict")["steps"]]
    before = [(s["step"], s["accumulate"], s["nbytes"]) for s in plain.summary("dict")["steps"]]
    for (step, kind, size), (name, old, floats) in zip(sums, before, strict=True):
        added = old == "float32"
        assert kind == ("float16" if added else None)
        assert step == (f"{name}, sums of float16" if added else name)
        assert size < floats if added else size == floats
    network.summary()
    assert "sums of float16" in capsys.readouterr().out
    assert network.summary("dict")["traffic"] > 0


def test_what_float16_cannot_hold_stays(isa16):
    x = fastdw.Input((4, 4, 3))
    kernel = np.full((3, 2), 1e5, F32)
    network = Network(x, fastdw.PointwiseConv2D(kernel)(x), accumulate="float16")
    assert network.summary("dict")["steps"][0]["accumulate"] == "float32"
    assert_same(network(np.ones((4, 4, 3), F32)), np.full((4, 4, 2), 3e5, F32))


def test_numbers_that_are_no_choice():
    with pytest.raises(ValueError, match="accumulate must be one of 'float32', 'float16', got"):
        small(accumulate="int8")
    with pytest.raises(TypeError, match="accumulate must be a str"):
        Network.load(b"", accumulate=F16)


@pytest.mark.skipif(bool(_core.config16()["supported"]), reason="this CPU has an FMA of halves")
def test_a_cpu_that_lacks_it():
    data = small()._bytes()
    kernels = np.ones((3, 4), F32), np.ones((3, 3, 4), F32), np.ones((4, 3), F32)
    for make in (
        lambda: small(accumulate="float16"),
        lambda: Network.load(data, accumulate="float16"),
        lambda: fastdw.InvertedResidual(*kernels, accumulate="float16"),
    ):
        with pytest.raises(RuntimeError, match="ARM with FEAT_FP16: this one does not"):
            make()


@pytest.mark.parametrize("gated", [False, True])
def test_inverted_residuals_add_as_networks_do(isa16, gated):
    g = rng(15)
    matrices = signed(g, (8, 20)), signed(g, (3, 3, 20)), signed(g, (20, 8))
    gate = fastdw.SqueezeExcite(signed(g, (20, 4)), signed(g, (4, 20))) if gated else None
    options = {"padding": "same", "expand_activation": "relu6", "squeeze_excite": gate}
    layer = fastdw.InvertedResidual(*matrices, **options, accumulate="float16")
    plain = fastdw.InvertedResidual(*matrices, **options)
    assert plain.accumulate == "float32"
    image = fastdw.Input((9, 7, 8))
    network = fastdw.Network(image, plain(image, residual=image), accumulate="float16")
    x = signed(g, (2, 9, 7, 8))
    wanted = network(x)
    assert np.abs(wanted - plain(x, residual=x)).max() > 0
    for other in (layer, pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert other.accumulate == "float16"
        for threads in (1, 3):
            assert_same(other(x, residual=x, num_threads=threads), wanted)
    with pytest.raises(ValueError, match="no layer of accumulate='float16'; make it without"):
        layer(image)


def test_bad_steps_are_refused_by_the_core(isa16):
    bits, plain = np.ones((3, 4), np.uint16), _core.Activation("clamp")
    weights = _core.Pointwise16(bits, None, plain)
    one, arena = ((1, "float32"),), 64

    def make(
        out=(4, 0, (2, 2, 4), (8, 4, 1)), x=(4, 32, (2, 2, 3), (6, 3, 1)), more=(), **settings
    ):
        known = {"pointwise": weights, "geometry": (1, 1, 1, 1, 0, 0)} | settings
        _core.Network(arena, one, one, (("layer16", (out, x, *more), known),))

    make()
    make(more=((4, 64, (2, 2, 4), (8, 4, 1)),))
    make(more=(None, (0, 48, (1, 1, 3), (3, 3, 1))))
    make(x=(4, 32, (3, 2, 1), (2, 1, 1)), kernel_size=(3, 1), geometry=(1, 1, 1, 1, 1, 0))
    cases = {
        "bytes": {"x": (0, 0, (2, 2, 3), (6, 3, 1))},
        "beyond the buffer": {"x": (4, 120, (2, 2, 3), (6, 3, 1))},
        "no image": {"x": (4, 0, (4, 3), (3, 1))},
        "channels": {"x": (4, 0, (2, 2, 4), (8, 4, 1))},
        "channels apart": {"x": (4, 0, (2, 2, 3), (2, 1, 4))},
        "pads": {"geometry": (1, 1, 1, 1, 1, 0)},
        "x": {"geometry": (2, 1, 1, 1, 0, 0)},
        "kernel_size": {"kernel_size": (0, 1)},
        "parts": {"pointwise": None},
        "residual": {"more": ((4, 64, (2, 2, 3), (6, 3, 1)),)},
        "channels of the parts": {"expand": weights},
        "factors": {"more": (None, (0, 0, (1, 1, 4), (4, 4, 1)))},
        "image": {"more": (None, (0, 0, (3,), (1,)))},
        "strange settings": {"speed": 1},
    }
    for message, arguments in cases.items():
        with pytest.raises(ValueError, match=message):
            make(**arguments)
    with pytest.raises(ValueError, match="bytes"):  # of halves no bytes
        _core.Network(arena, one, one, (("copy", ((3, 0, (4,), (1,)), (4, 0, (4,), (1,))), {}),))


def test_copies_turn_floats_into_halves_and_back(isa16):
    """Whatever lies side by side."""
    g = rng(6)
    shapes = [(5, 300), (3, 7, 2), (1, 1, 1), (2, 3, 4, 5)]
    for shape, reverse in itertools.product(shapes, (False, True)):
        size = int(np.prod(shape))
        x = signed(g, shape) * F32(100)
        strides = tuple(s // 4 for s in np.empty(shape, F32).strides)
        turned = tuple(s // 4 for s in np.empty(shape[::-1], F32).T.strides)
        middle = (4, 0, shape, turned if reverse else strides)
        steps = (
            ("copy", (middle, (1, 0, shape, strides)), {}),
            ("copy", ((2, 0, shape, strides), middle), {}),
        )
        ends = ((size, "float32"),)
        out = np.empty(shape, F32)
        _core.Network(size, ends, ends, steps).run((x,), (out,), 2)
        assert_same(out, x.astype(F16).astype(F32))
