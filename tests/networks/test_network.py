"""Networks as users hold them: symbols, calls, files, pickles, summaries, camera frames."""

import io
import pickle

import fastdw
import numpy as np
import pytest
from blocks import act, affine, builder_of, conv, dw
from fastdw import BatchNorm, Conv2D, DepthwiseConv2D, PointwiseConv2D, SeparableConv2D, ops
from fastdw.network import _network
from fastdw.network._graph import TensorSpec, run
from fastdw.network._network import Network
from fastdw.network._record import Input
from fastdw.network._symbol import Symbol
from graphs import kernel
from support import batch_norm, rng, signed


def close(y, wanted):
    assert y.dtype == np.float32
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y, wanted, atol=2e-6 * np.abs(wanted).max())


def layers(data_format="NHWC"):
    g = rng(1)
    return [
        SeparableConv2D(
            signed(g, (3, 3, 4, 2)), signed(g, (8, 4)), 1, "same", data_format,
            pre_activation="relu", depthwise_batch_norm=BatchNorm(*batch_norm(g, 8)),
            depthwise_activation="relu6", bias=signed(g, 4), activation="hard_swish",
        ),
        DepthwiseConv2D(signed(g, (3, 2, 4)), 2, "same_lower", data_format, bias=signed(g, 4)),
        PointwiseConv2D(signed(g, (4, 6)), data_format, batch_norm=BatchNorm(*batch_norm(g, 6))),
    ]  # fmt: skip


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_dense_convolutions_record_on_symbols(data_format):
    g = rng(7)
    layer = Conv2D(
        signed(g, (3, 2, 2, 6)), (2, 1), "same", data_format, groups=2, bias=signed(g, 6),
        batch_norm=BatchNorm(*batch_norm(g, 6)), activation="relu6",
    )  # fmt: skip
    shape, after = ((4, 7, 5), (6, 4, 5)) if data_format == "NCHW" else ((7, 5, 4), (4, 5, 6))
    x, residual = Input(shape, "x"), Input(after, "residual")
    net = Network([x, residual], layer(x, residual=residual))
    arrays = signed(rng(8), (2, *shape)), signed(rng(9), (2, *after))
    close(net(*arrays), layer(arrays[0], residual=arrays[1]))
    assert net.macs == layer.macs(shape)
    assert net.num_parameters == layer.num_parameters


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_layers_record_on_symbols(data_format):
    first, second, third = layers(data_format)
    shape = (4, 6, 5) if data_format == "NCHW" else (6, 5, 4)

    def forward(x):
        return third(second(first(x, residual=x)))

    symbol = Input(shape, "image")
    end = forward(symbol)
    x = signed(rng(2), (2, *shape))
    assert isinstance(end, Symbol)
    assert end.shape == (None, *forward(x).shape[1:])
    net = Network(symbol, end)
    assert net.inputs == (TensorSpec("image", (None, *shape), "float32"),)
    assert net.outputs[0].shape == end.shape
    close(net(x), forward(x))
    close(net(x[0]), forward(x[0]))
    steps = [step["step"].split()[0] for step in net.summary("dict")["steps"]]
    assert steps.count("transpose") == (2 if data_format == "NCHW" else 0)
    small = second.output_shape(shape)
    assert net.macs == first.macs(shape) + second.macs(shape) + third.macs(small)


def test_refused_calls_of_layers_on_symbols():
    layer = layers()[0]
    x = Input((6, 5, 4))
    with pytest.raises(ValueError, match="depthwise_kernel has 4 input channels"):
        layer(Input((6, 5, 3)))
    with pytest.raises(ValueError, match="residual"):
        layer(x, residual=Input((6, 5, 3)))
    with pytest.raises(TypeError, match="residual must be a Symbol or None"):
        layer(x, residual=np.zeros((6, 5, 4), np.float32))
    with pytest.raises(TypeError, match="out must be None"):
        layer(x, out=np.zeros((6, 5, 4), np.float32))
    with pytest.raises(TypeError, match="x must be a NumPy array"):
        fastdw.pointwise_conv2d(x, np.ones((4, 4), np.float32))
    for broken in (lambda: pickle.dumps(x), lambda: np.asarray(x)):
        with pytest.raises(TypeError, match="Symbol"):
            broken()


def test_refused_networks():
    x = Input((2, 2, 1))
    y = ops.add(x, Input((2, 2, 1), "other"))
    with pytest.raises(ValueError, match="outputs need Symbol"):
        Network(x, y)
    with pytest.raises(ValueError, match="different symbols of Input"):
        Network([x, x], ops.add(x, x))
    with pytest.raises(ValueError, match="different symbols of Input"):
        Network(y, y)
    with pytest.raises(ValueError, match="empty"):
        Network(x, [])
    with pytest.raises(TypeError, match="inputs must be a Symbol"):
        Network(np.ones(3), x)
    for shape, error in (
        ((0, 1), ValueError),
        (3, TypeError),
        ((2.0,), TypeError),
        ((), ValueError),
    ):
        with pytest.raises(error, match=r"shape|axes"):
            Input(shape)
    for options, error in (({"name": 3}, TypeError), ({"dtype": "int16"}, ValueError)):
        with pytest.raises(error, match=next(iter(options))):
            Input((2, 2), **options)


def test_a_deep_network_takes_no_recursion():
    x = y = Input((1, 1, 1))
    for _ in range(3000):
        y = ops.multiply(y, y)
    assert Network(x, y)(np.ones((1, 1, 1), np.float32)) == 1


def two_by_two():
    """Two inputs, two outputs."""
    a, b = Input((4, 3, 2), "a"), Input((2,), "b")
    return Network([a, b], [ops.multiply(a, b), ops.global_average_pool(a)])


def test_several_inputs_and_outputs():
    net = two_by_two()
    a, b = signed(rng(1), (3, 4, 3, 2)), signed(rng(2), (3, 2))
    y, mean = net(a, b)
    close(y, a * b[:, None, None])
    close(mean, a.mean((1, 2)))
    out = [np.empty_like(y), np.empty_like(mean)]
    again = net(a, b, out=out)
    assert again[0] is out[0]
    assert again[1] is out[1]
    np.testing.assert_array_equal(out[0], y)
    for one, all_ in zip(net(a[1], b[1]), (y, mean), strict=True):
        np.testing.assert_array_equal(one, all_[1])
    assert [r.shape for r in net(a[:0], b[:0])] == [(0, 4, 3, 2), (0, 2)]


A, B = np.zeros((4, 3, 2), np.float32), np.zeros(2, np.float32)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "word"),
    [
        ((0,), {}, TypeError, r"takes 2 inputs \(a, b\), got 1"),
        ((0, 0), {}, TypeError, "a must be a NumPy array"),
        (
            (A.tolist(), B),
            {},
            TypeError,
            r"got list .*; make it one with np.asarray\(a, np.float32",
        ),
        ((A.astype(np.float64), B), {}, TypeError, "float32"),
        ((A[:3], B), {}, ValueError, r"a must be \(N, 4"),
        ((A[None], B), {}, ValueError, "same batch"),
        ((A, B), {"out": [1]}, ValueError, "2 arrays"),
        ((A, B), {"num_threads": 0}, ValueError, "num_threads"),
    ],
)
def test_refused_calls(arguments, options, error, word):
    with pytest.raises(error, match=word):
        two_by_two()(*arguments, **options)


def test_outputs_that_overlap_are_refused():
    net = two_by_two()
    a, b = np.zeros((4, 3, 2), np.float32), np.zeros(2, np.float32)
    with pytest.raises(ValueError, match="overlap"):
        net(a, b, out=[a, b.copy()])
    memory = np.zeros(26, np.float32)
    with pytest.raises(ValueError, match="overlap"):
        net(a, b, out=[memory[:24].reshape(4, 3, 2), memory[23:25]])


def model():
    b, x = builder_of(8, 8, 3)
    y = conv(b, x, 6, 3, strides=(2, 2), padding=((0, 1), (0, 1)))
    y = act(b, affine(b, y, 0.5, 0.25), "relu6")
    y = conv(b, dw(b, y), 5)
    y = b.add("reshape", b.add("global_pool", y, function="average"), shape=(5,))
    return b.build(b.add("softmax", y, "scores"))


def test_files_and_pickles(tmp_path):
    net = Network._from_graph(model())
    x = signed(rng(3), (2, 8, 8, 3))
    close(net(x), np.stack([run(model(), [image])[0] for image in x]))
    net.save(tmp_path / "net.fdw")
    data = (tmp_path / "net.fdw").read_bytes()
    for again in (
        Network.load(tmp_path / "net.fdw"),
        Network.load(data),
        pickle.loads(pickle.dumps(net)),
    ):
        np.testing.assert_array_equal(again(x), net(x))
        assert repr(again) == repr(net)
        assert again.summary("dict") == net.summary("dict")
    net.save(str(tmp_path / "half.fdw"), "float16")
    np.testing.assert_allclose(Network.load(tmp_path / "half.fdw")(x), net(x), atol=2e-3)
    assert (tmp_path / "half.fdw").stat().st_size < (tmp_path / "net.fdw").stat().st_size


def test_refused_files(tmp_path):
    net = Network._from_graph(model())
    path = tmp_path / "net.fdw"
    net.save(path)
    with pytest.raises(ValueError, match="max_arena_bytes"):
        Network.load(path, max_arena_bytes=net.arena_bytes - 1)
    Network.load(path, max_arena_bytes=net.arena_bytes)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"net\.fdw: not a network"):
        Network.load(path)
    path.write_bytes(b"a model of another kind")
    with pytest.raises(ValueError, match="it begins like no file of Network"):
        Network.load(path)
    with pytest.raises(FileNotFoundError):
        Network.load(tmp_path / "none.fdw")
    for damaged in (None, b"", b"{}" * 9):
        with pytest.raises(ValueError, match="network"):
            _network._restore(damaged)


def test_a_number_is_no_path():
    """To `open` it is a file that is open already: 1 is the standard output."""
    net = Network._from_graph(model())
    for wrong in (1, None, io.BytesIO()):
        with pytest.raises(TypeError, match="path must be a path, got "):
            net.save(wrong)
        with pytest.raises(TypeError, match="file must be a path or bytes, got "):
            Network.load(wrong)


def test_a_network_does_not_change():
    net = Network._from_graph(model())
    with pytest.raises(AttributeError, match="immutable"):
        net.x = 1


def test_summary(capsys):
    net = Network._from_graph(model())
    summary = net.summary("dict")
    labels = [step["step"] for step in summary["steps"]]
    assert labels == [
        "conv2d 3x3 s2 relu6",
        "separable 3x3",
        "global_pool average",
        "reshape",
        "softmax",
    ]
    assert [step["num_parameters"] for step in summary["steps"]] == [27 * 6 + 6, 54 + 30, 0, 0, 0]
    assert [step["macs"] for step in summary["steps"]] == [16 * 162, 16 * 84, 0, 0, 0]
    assert summary["num_parameters"] == net.num_parameters == 168 + 84
    assert summary["macs"] == net.macs == 16 * (162 + 84)
    floats = [192 + 96, 96 + 80, 80 + 5, 0, 5 + 5]
    assert [step["traffic"] for step in summary["steps"]] == [4 * n for n in floats]
    assert summary["traffic"] == 4 * sum(floats)
    assert summary["arena_bound"] <= summary["arena_bytes"] == net.arena_bytes
    assert net.summary() is None
    text = capsys.readouterr().out
    assert text.splitlines()[0].split() == [
        "step",
        "output",
        "parameters",
        "MACs",
        "weights",
        "traffic",
        "from",
    ]
    assert "5 steps, 252 parameters" in text
    assert repr(net) == "Network(x: float32 (None, 8, 8, 3) → scores: float32 (None, 5))"
    for mode, error in (("csv", ValueError), (3, TypeError)):
        with pytest.raises(error, match="mode must be"):
            net.summary(mode)


def test_weights_are_rounded_once():
    net = Network._from_graph(model())
    arrays = [v for n in net._graph.nodes for v in n.attrs.values() if isinstance(v, np.ndarray)]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    folded = kernel(3, 3, 3, 3, 6) * 0.5
    np.testing.assert_array_equal(arrays[0], folded.astype(np.float32))


def test_kernels_of_convolutions_in_another_order_of_channels():
    b, x = builder_of()
    y = b.add("gather", x, rows=None, columns=None, channels=(2, 0, 1, 5, 3, 4))
    graph = b.build(b.add("conv2d", y, kernel=kernel(0, 3, 3, 6, 4)))
    net = Network._from_graph(graph)
    assert [node.op for node in net._graph.nodes] == ["conv2d"]
    image = signed(rng(1), (5, 4, 6))
    close(net(image), run(graph, [image])[0])


def test_a_profile_adds_the_time_of_every_step(capsys):
    net = two_by_two()
    a, b = signed(rng(1), (3, 4, 3, 2)), signed(rng(2), (3, 2))
    document = net.profile(a, b, repetitions=3, num_threads=1, mode="dict")
    plain = net.summary("dict")
    times = {"microseconds", "gflops", "share"}
    for step, same in zip(document["steps"], plain["steps"], strict=True):
        assert step.keys() - same.keys() == times
        assert {name: step[name] for name in same} == same
    assert all(step["microseconds"] > 0 for step in document["steps"] if step["step"] != "reshape")
    assert sum(step["share"] for step in document["steps"]) == pytest.approx(1)
    assert net.profile(repetitions=1) is None
    printed = capsys.readouterr().out
    assert "GFLOP/s" in printed
    assert "arena" in printed
    for wrong, error in (
        ({"repetitions": 0}, ValueError),
        ({"repetitions": 1.5}, TypeError),
        ({"mode": 3}, TypeError),
        ({"mode": "csv"}, ValueError),
        ({"num_threads": 0}, ValueError),
    ):
        with pytest.raises(error, match=next(iter(wrong))):
            net.profile(**wrong)


def test_a_profile_shows_copies_to_outputs():
    x = Input((2, 3), "x")
    net = Network(x, [x, ops.softmax(x)])
    steps = net.profile(repetitions=1, mode="dict")["steps"]
    assert [step["step"] for step in steps] == ["softmax", "copy"]


def test_arrays_of_any_strides_give_the_same_bits():
    symbol = Input((6, 5, 4))
    first, second, third = layers()
    net = Network(symbol, third(second(first(symbol))))
    wide = signed(rng(3), (3, 12, 5, 8))
    view = wide[:, ::2, :, 1:5]
    np.testing.assert_array_equal(net(view), net(view.copy()))
    np.testing.assert_array_equal(net(view[::-1])[::-1], net(view.copy()))
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(net(view, num_threads=threads), net(view))


@pytest.mark.parametrize("name", ["value", "shape", "dtype", "name", "out", "self"])
def test_inputs_of_any_name(name):
    """Names are the model's: they are no arguments of ours."""
    symbol = Input((4, 3), name)
    net = Network(symbol, ops.softmax(symbol))
    x = signed(rng(4), (2, 4, 3))
    np.testing.assert_array_equal(net(x, out=np.empty_like(x)), net(x))
    with pytest.raises(ValueError, match=f"shares memory with {name}$"):
        net(x, out=x)


@pytest.mark.parametrize("shape", [(3,), (2, 1, 2, 3), (2, 1, 2, 1, 3), (1, 2, 1, 2, 1, 3)])
def test_values_of_any_rank(shape):
    symbol = Input(shape)
    net = Network(symbol, ops.softmax(symbol))
    x = signed(rng(4), (2, *shape))
    y = net(x)
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-6)
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(net(x[0]), y[0])
    np.testing.assert_array_equal(net(x, out=np.empty_like(x)), y)


def test_plain_calls_are_as_all_others():
    """`call` of the core, and the way round it by an `out`, a stride, another type of array."""
    net = two_by_two()
    a, b = signed(rng(1), (3, 4, 3, 2)), signed(rng(2), (3, 2))
    wanted = net(a, b)
    given = [
        (a, np.repeat(b, 2, 1)[:, ::2]),
        (a.view(np.memmap), b),
        (memoryview(a), b),
        (np.asfortranarray(a), b),
    ]
    for arrays in given:
        for y, same in zip(net(*arrays), wanted, strict=True):
            assert type(y) is np.ndarray
            np.testing.assert_array_equal(y, same)
    with pytest.raises(TypeError, match="Masked"):
        net(np.ma.masked_array(a), b)
    with pytest.raises(TypeError, match="native float32"):
        net(a.astype(">f4"), b)
