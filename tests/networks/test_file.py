"""Files of networks: they come back, others can read them, and damaged ones are refused."""

import io
import json
import os
import random
import time
import tracemalloc

import numpy as np
import pytest
from blocks import block, builder_of, conv, pad
from fastdw import Network
from fastdw.network import _file
from fastdw.network._graph import GraphBuilder, content, run
from fastdw.network._rewrite import rewrite
from graphs import EXAMPLES, example, inputs
from small_networks import blazeface


def saved(graph, weights="float32"):
    file = io.BytesIO()
    _file.write(file, graph, weights)
    return file.getvalue()


def loaded(data):
    return _file.read(io.BytesIO(data))[0]


def network():
    """All kinds of attributes in a few nodes."""
    b, x = builder_of()
    y = block(b, conv(b, pad(b, x), bias=np.full(6, 0.5)))
    y = b.add("activation", y, source=["act"], activation=("prelu", np.ones(6, np.float32)))
    y = b.add("activation", y, activation=("clip", -0.1, float("inf")))
    return rewrite(b.build([y, x]))[0]


def parts(data):
    """Header and tensors."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header, tensors):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def rounded(value):
    if isinstance(value, np.ndarray):
        return value.astype(np.float32) if value.dtype.kind == "f" else value
    return tuple(map(rounded, value)) if isinstance(value, tuple) else value


def as_float32(graph):
    nodes = [n._replace(attrs={k: rounded(v) for k, v in n.attrs.items()}) for n in graph.nodes]
    return graph._replace(nodes=tuple(nodes))


@pytest.mark.parametrize("graph", [network(), *map(example, EXAMPLES)], ids=["network", *EXAMPLES])
def test_a_graph_comes_back(graph):
    again = loaded(saved(graph))
    assert again.inputs == graph.inputs
    assert again.outputs == graph.outputs
    for new, old in zip(again.nodes, as_float32(graph).nodes, strict=True):
        assert content(new) == content(old)
        assert (new.output, new.source) == (old.output, old.source)
    assert saved(again) == saved(graph)


def test_half_of_the_kernels():
    graph = network()
    data = saved(graph, "float16")
    assert len(data) < len(saved(graph))
    again = loaded(data)
    for new, old in zip(again.nodes, as_float32(graph).nodes, strict=True):
        for name, value in old.attrs.items():
            if isinstance(value, np.ndarray):
                wanted = value.astype(np.float16) if value.ndim == 4 else value
                np.testing.assert_array_equal(new.attrs[name], wanted.astype(np.float32))
                assert new.attrs[name].dtype == np.float32
    assert saved(again, "float16") == data
    run(again, inputs(again))


def with_halves(graph):
    """The graph with its float kernels rounded to float16, in float32."""

    def rounded_kernel(value):
        is_kernel = isinstance(value, np.ndarray) and value.ndim == 4 and value.dtype.kind == "f"
        return value.astype(np.float16).astype(np.float32) if is_kernel else value

    nodes = [
        n._replace(attrs={k: rounded_kernel(v) for k, v in n.attrs.items()}) for n in graph.nodes
    ]
    return graph._replace(nodes=tuple(nodes))


def results(net, values):
    y = net(*values)
    return y if isinstance(y, tuple) else (y,)


@pytest.mark.parametrize("name", ["network", "blazeface", "separable", "inverted"])
def test_a_network_of_halves_has_the_bits_of_rounded_weights(name, tmp_path):
    graph = {"network": network, "blazeface": blazeface}.get(name, lambda: example(name))()
    net = Network._from_graph(graph)
    net.save(tmp_path / "half.fdw", weights="float16")
    half, wanted = Network.load(tmp_path / "half.fdw"), Network._from_graph(with_halves(net._graph))
    values = [v.astype(np.float32) for v in inputs(graph)]
    for y, w in zip(results(half, values), results(wanted, values), strict=True):
        np.testing.assert_array_equal(y, w)
    assert half.summary(mode="dict")["notes"] == (_file.ROUNDED,)
    assert half.num_parameters == net.num_parameters
    weights = [sum(s["nbytes"] for s in n.summary(mode="dict")["steps"]) for n in (half, net)]
    assert weights[0] == weights[1]
    again = Network.load(tmp_path / "half.fdw")
    again.save(tmp_path / "again.fdw", weights="float16")
    assert (tmp_path / "again.fdw").read_bytes() == (tmp_path / "half.fdw").read_bytes()


def test_integers_stay_integers():
    graph = example("quantized_conv2d")
    assert saved(graph, "float16") == saved(graph)


@pytest.mark.parametrize("largest", [7e4, 65520])
def test_weights_too_large_for_float16(largest):
    b, x = builder_of()
    y = b.add(
        "conv2d", x, kernel=np.array([1, -largest, np.inf, np.nan, 0, 6e4]).reshape(1, 1, 6, 1)
    )
    assert saved(b.build(y))
    with pytest.raises(ValueError, match=rf"kernel must fit into float16, got {largest:g}"):
        saved(b.build(y), "float16")


def test_every_half_comes_back():
    """Also where their number is beyond one part, and subnormals, infinities and NaN."""
    halves = np.tile(np.arange(2**16, dtype=np.uint16).view(np.float16), 3)[:-1]
    b, x = builder_of(1, 1, halves.size)
    data = saved(
        b.build(b.add("conv2d", x, kernel=halves.astype(float)[None, None, :, None])), "float16"
    )
    kernel = loaded(data).nodes[0].attrs["kernel"].ravel()
    np.testing.assert_array_equal(kernel, halves.astype(np.float32))


def test_tensors_may_lie_in_any_order():
    """Bytes first, so that floats and halves after them are not aligned."""
    b, x = builder_of(3, 4, 3)
    kernel = np.arange(27.0).reshape(1, 1, 3, 9)
    y = b.add("conv2d", x, kernel=kernel, bias=np.arange(9.0) + 0.1)
    graph = b.build(b.add("conv2d", y, kernel=kernel.reshape(1, 1, 9, 3)))
    header, tensors = parts(saved(graph, "float16"))
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    moved, data = {"__metadata__": header["__metadata__"]}, b""
    for name, entry in reversed(entries.items()):
        begin, end = entry["data_offsets"]
        moved[name] = entry | {"data_offsets": (len(data), len(data) + end - begin)}
        data += tensors[begin:end]
    assert data != tensors
    assert saved(loaded(joined(moved, data)), "float16") == saved(graph, "float16")


@pytest.mark.parametrize("change", [{"dtype": "F32"}, {"dtype": "I8"}, {"shape": [1, 1, 6, 2]}])
def test_halves_of_a_wrong_size_are_refused(change):
    b, x = builder_of()
    y = b.add("conv2d", x, kernel=np.ones((1, 1, 6, 1)), bias=np.ones(1))
    header, tensors = parts(saved(b.build(y), "float16"))
    (entry,) = (e for e in header.values() if e.get("dtype") == "F16")
    entry.update(change)
    refused(joined(header, tensors))


def test_weights_must_be_a_known_dtype():
    with pytest.raises(ValueError, match="weights must be one of"):
        saved(network(), "int8")
    with pytest.raises(TypeError, match="weights must be a str"):
        saved(network(), 16)


def test_the_file_is_valid_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    graph = network()
    for weights in _file.WEIGHTS:
        path = tmp_path / "net.fdw"
        path.write_bytes(saved(graph, weights))
        with safetensors.safe_open(path, "numpy") as file:
            assert file.metadata()["format"] == "fastdw"
            (name,) = (n for n in file.keys() if n.endswith("depthwise_kernel"))  # noqa: SIM118
            (node,) = (n for n in graph.nodes if "depthwise_kernel" in n.attrs)
            wanted = node.attrs["depthwise_kernel"].astype(weights)
            np.testing.assert_array_equal(file.get_tensor(name), wanted)


def test_tensors_are_aligned():
    header, tensors = parts(saved(network(), "float16"))
    length = len(saved(network(), "float16")) - len(tensors)
    assert length % 8 == 0
    for name, entry in header.items():
        if name != "__metadata__":
            size = {"F32": 4, "F16": 2}[entry["dtype"]]
            assert entry["data_offsets"][0] % size == 0


def refused(data):
    with pytest.raises(ValueError):  # noqa: PT011  (what it says depends on the damage)
        loaded(data)


def test_every_truncation_is_refused():
    data = saved(example("separable"))
    for length in range(len(data)):
        refused(data[:length])
    refused(data + b"\0")


def changed(change):
    """The file of a network with its header, or its graph, changed by a function."""
    header, tensors = parts(saved(network()))
    fields = json.loads(header["__metadata__"]["graph"])
    change(header, fields)
    if "graph" in header.get("__metadata__", ()):
        header["__metadata__"]["graph"] = json.dumps(fields)
    return joined(header, tensors)


def test_an_unchanged_file_is_read():
    loaded(changed(lambda header, fields: None))


def first(header):
    return next(entry for name, entry in header.items() if name != "__metadata__")


def conv_of(fields):
    return next(node for node in fields["nodes"] if node["op"] == "conv2d")


CHANGES = {
    "not of fastdw": lambda h, f: h["__metadata__"].update(format="pt"),
    "newer": lambda h, f: h["__metadata__"].update(version="2"),
    "__metadata__ must have": lambda h, f: h["__metadata__"].update(more="x"),
    "is described as": lambda h, f: first(h).update(dtype="F64"),
    "shape of tensor": lambda h, f: first(h).update(shape=3),
    "not where and as large": lambda h, f: (
        first(h)["shape"].insert(0, 2) or first(h)["shape"].pop()
    ),
    "tensor .* must have": lambda h, f: first(h).pop("shape"),
    "is not where": lambda h, f: first(h)["data_offsets"].reverse(),
    "no node names its tensor": lambda h, f: f["nodes"].clear() or f.update(outputs=["x"]),
    "there is no tensor": lambda h, f: conv_of(f)["attrs"].update(kernel={"tensor": "none"}),
    "a value must have tensor": lambda h, f: conv_of(f)["attrs"].update(kernel={"a": 1}),
    "named twice": lambda h, f: conv_of(f)["attrs"].update(bias=conv_of(f)["attrs"]["kernel"]),
    "kernel must be": lambda h, f: (
        conv_of(f)["attrs"].update(bias=conv_of(f)["attrs"]["kernel"])
        or conv_of(f)["attrs"].update(kernel=1)
    ),
    "strides must be a tuple": lambda h, f: conv_of(f)["attrs"].update(strides=1),
    r"strides\[0\] must be at least 1": lambda h, f: conv_of(f)["attrs"].update(strides=[0, 1]),
    "attributes are missing": lambda h, f: conv_of(f)["attrs"].pop("strides"),
    "too many: more": lambda h, f: conv_of(f)["attrs"].update(more=1),
    "operator must be one of": lambda h, f: conv_of(f).update(op="lstm"),
    "no node before it": lambda h, f: f["nodes"].reverse(),
    "a node must have": lambda h, f: conv_of(f).update(more=1),
    "op of a node must be a str": lambda h, f: conv_of(f).update(op=1),
    "inputs must hold str": lambda h, f: conv_of(f).update(inputs=[1]),
    "shape must hold int": lambda h, f: f["inputs"][0].update(shape=[5.0, 4, 6]),
    "axes, each of": lambda h, f: f["inputs"][0].update(shape=[2**40, 4, 6]),
    "dtype of": lambda h, f: f["inputs"][0].update(dtype="float64"),
    "outputs must": lambda h, f: f.update(outputs=[]),
    "must be a list": lambda h, f: f.update(outputs={}),
}


@pytest.mark.parametrize("word", CHANGES)
def test_changed_files_are_refused(word):
    with pytest.raises(ValueError, match=word):
        loaded(changed(CHANGES[word]))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"nul",
        b'{"a":1,"a":1}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b"\xff\xfe{}",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"a":' + b"9" * 500_000 + b"}",
        b'{"__metadata__":{"format":"fastdw","version":"1","graph":"[]"}}',
        b'{"__metadata__":{"format":"fastdw","version":"1","graph":"{}"}}',
        b'{"__metadata__":{"format":"fastdw","version":1,"graph":"{}"}}',
    ],
)
def test_odd_headers_are_refused(header):
    refused(joined(header, b""))


@pytest.mark.parametrize("depth", [10, 500, 700, 900, 5_000, 200_000])
def test_attributes_of_any_depth_are_refused(depth):
    """json takes more levels than what looks at its values does."""
    data = saved(example("conv2d"))
    header, tensors = parts(data)
    text = header["__metadata__"]["graph"]
    odd = text.replace('"strides":[', '"strides":' + "[" * depth + "]" * depth + ',"odd":[', 1)
    assert odd != text
    header["__metadata__"]["graph"] = odd
    refused(joined(header, tensors))


def test_bytes_may_lie_apart():
    data = saved(example("conv2d"))
    apart = memoryview(np.repeat(np.frombuffer(data, np.uint8), 2))[::2]
    assert Network.load(apart)._bytes() == Network.load(data)._bytes()


def test_lengths_beyond_the_file_allocate_nothing():
    for length in (2**63, 2**64 - 1, 2**24, 2**20):
        refused(length.to_bytes(8, "little") + b"{}")

    def huge(header, fields):
        first(header).update(shape=[2**31, 2**31], data_offsets=[0, 2**64])

    tracemalloc.start()
    refused(changed(huge))
    refused(changed(lambda h, f: f["nodes"][0]["attrs"].update(rows=[2**31 - 1])))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_shape_of_many_axes_is_refused_quickly():
    builder = GraphBuilder()
    data = saved(builder.build(builder.add("reshape", builder.input("x", (2, 3)), shape=(6,))))
    header, tensors = parts(data)
    fields = json.loads(header["__metadata__"]["graph"])
    fields["nodes"][0]["attrs"]["shape"] = [2**31] * 300_000
    header["__metadata__"]["graph"] = json.dumps(fields)
    start = time.perf_counter()
    refused(joined(header, tensors))
    assert time.perf_counter() - start < 5


def test_mutated_files_are_read_or_refused():
    """Bytes and numbers changed at random: a graph or a ValueError, nothing else."""
    choose = random.Random(1)
    data = saved(network(), "float16")
    length = int.from_bytes(data[:8], "little")
    outcomes = [0, 0]
    tracemalloc.start()
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(choose.choice([1, 1, 2, 8])):
            place = choose.randrange(8 + length)
            damaged[place] = choose.choice([choose.randrange(256), *b'0123456789,:[]{}"-.eE'])
            if choose.random() < 0.2:
                del damaged[place : place + choose.randrange(9)]
        try:
            loaded(bytes(damaged))
            outcomes[0] += 1
        except ValueError:
            outcomes[1] += 1
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    assert min(outcomes) > 10


def test_a_file_descriptor_is_no_path():
    """It would be closed, whoever it belongs to."""
    net = Network._from_graph(example("conv2d"))
    read, write = os.pipe()
    try:
        for call in (net.save, Network.load):
            with pytest.raises(TypeError, match="int"):
                call(write)
        assert os.write(write, b"x") == 1
    finally:
        os.close(read)
        os.close(write)
