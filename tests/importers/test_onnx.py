"""ONNX files: what is read, what is refused, and how that is said."""

import os
import pathlib
import time
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("onnx")

from fastdw.importers.onnx import from_onnx
from fastdw.network._graph import run
from onnx_models import (
    IMAGE,
    TensorProto,
    agrees,
    computed,
    counts,
    helper,
    imported,
    ints,
    model,
    node,
    onnx,
    weights,
)


def test_the_trained_network():
    folder = os.environ.get("FASTDW_MODELS")
    if not folder:
        pytest.skip("FASTDW_MODELS names no folder of trained networks")
    path = pathlib.Path(folder) / "rapidocr_ch_ppocr_mobile_v2.0_cls_infer.onnx"
    with np.load(path.with_suffix(".npz")) as arrays:
        x, wanted = arrays["in"], arrays["out:save_infer_model/scale_0.tmp_1"]
    with pytest.raises(ValueError, match=r"input 'x' is open, .* \(None, 3, None, None\)"):
        from_onnx(path)
    with pytest.raises(ValueError, match=r"without the batch; .*, got \(1, 3, 48, 192\)"):
        from_onnx(path, input_shape=(1, 3, 48, 192))
    graph = from_onnx(path, input_shape=(3, *x.shape[2:]))
    assert graph.outputs == ("save_infer_model/scale_0.tmp_1",)
    (y,) = computed(graph, x)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-4)


def test_everything_that_is_missing_is_said_at_once():
    nodes = [
        helper.make_node("LSTM", ["x"], ["a"], name="lstm_1"),
        node("Relu", "a", "b"),
        helper.make_node("Resize", ["x", "", "", "s"], ["c"], name="up_3", mode="cubic"),
        helper.make_node("Resize", ["x", "", "", "s"], ["d"], name="up_4", mode="cubic"),
        node("Sum", "b c d", "y"),
    ]
    with pytest.raises(ValueError, match="fastdw does not run") as error:
        imported(model(nodes, s=ints(1, 6, 9, 9)))
    assert str(error.value) == (
        "the model has 2 operators that fastdw does not run: LSTM (node 'lstm_1'); "
        "Resize with mode='cubic' (nodes 'up_3', 'up_4')"
    )


def test_operators_that_nothing_needs_are_not_missed():
    nodes = [helper.make_node("LSTM", ["x"], ["a"]), node("Relu", "x")]
    assert counts(imported(model(nodes)), "activation") == 1


def test_outputs_cut_the_network():
    nodes = [node("Relu", "x", "a"), node("LSTM", "a", "y")]
    graph = imported(model(nodes), outputs=("a",))
    assert graph.outputs == ("a",)
    assert graph.inputs[0].shape == IMAGE[1:]


def test_a_value_may_be_an_output_twice():
    proto = model(node("Relu", "x"), outputs="y y")
    assert imported(proto).outputs == ("y", "y_1")
    x = weights(1, *IMAGE)
    for y in computed(imported(proto), x):
        np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_shapes_are_computed_not_believed():
    conv = node("Conv", "x w", pads=[0, 0, 1, 1], strides=[2, 2])
    proto = model(conv, w=weights(1, 4, 6, 3, 3))
    false = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 99, 99])
    proto.graph.output[0].CopyFrom(false)
    agrees(proto)


def test_input_shape_goes_before_the_model():
    graph = imported(model(node("Relu", "x")), input_shape=(3, 2, 2))
    assert graph.inputs[0].shape == (3, 2, 2)
    with pytest.raises(ValueError, match="input_shape names 'z'"):
        imported(model(node("Relu", "x")), input_shape={"z": (3, 2, 2)})


def test_chains_that_compute_a_shape_are_folded():
    nodes = [
        node("GlobalAveragePool", "x", "g"),
        node("Shape", "g", "s"),
        node("Gather", "s zero", "n"),
        node("Unsqueeze", "n zeros", "u"),
        node("Concat", "u rest", "to", axis=0),
        node("Cast", "to", "shape", to=TensorProto.INT64),
        node("Reshape", "g shape", "y"),
    ]
    graph = agrees(model(nodes, zero=np.array(0), zeros=ints(0), rest=ints(-1)))
    assert {n.op for n in graph.nodes} <= {"transpose", "global_pool", "reshape"}


FOLDED_REDUCTIONS = [
    ("ReduceMean", {"axes": [2, 3]}),
    ("ReduceMax", {"axes": [-1]}),
    ("ReduceMin", {}),
    ("ReduceProd", {"axes": [1], "keepdims": 0}),
    ("ReduceProd", {"keepdims": 0}),
]


def test_weights_may_be_standardised_in_the_file():
    nodes = [
        node("ReduceMean", "w", "mean", axes=[1, 2, 3]),
        node("Sub", "w mean", "centred"),
        node("Mul", "centred centred", "squares"),
        node("ReduceSum", "squares over", "sum", keepdims=0),
        node("Clip", "sum least", "norm"),
        node("Sqrt", "norm", "root"),
        node("Reshape", "root to", "divisor"),
        node("Div", "centred divisor", "kernel"),
        node("Conv", "x kernel"),
    ]
    w = weights(1, 4, 6, 3, 3)
    w[1] = 1e-4  # whose norm is clipped
    more = {"over": ints(1, 2, 3), "to": ints(4, 1, 1, 1), "least": np.float32(1e-2)}
    graph = agrees(model(nodes, opset=17, w=w, **more))
    assert [n.op for n in graph.nodes if n.op != "transpose"] == ["conv2d"]


@pytest.mark.parametrize("training", [0, 1])
def test_weights_may_be_standardised_as_a_batch(training):
    vectors = [np.abs(weights(i, 4)) + np.float32(0.5) for i in range(4)]
    nodes = [
        node("Reshape", "w flat", "rows"),
        node("BatchNormalization", "rows g b m v", "even", training_mode=training, epsilon=1e-3),
        node("Reshape", "even full", "kernel"),
        node("Conv", "x kernel"),
    ]
    if training:
        nodes[1].output.extend(["mean", "variance"])
    more = {"flat": ints(1, 4, -1), "full": ints(4, 6, 3, 3)}
    more |= dict(zip("gbmv", vectors, strict=True))
    graph = agrees(model(nodes, w=weights(1, 4, 6, 3, 3), **more))
    assert counts(graph, "conv2d") == 1


def test_pads_may_be_computed_from_the_size():
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s two", "h"),
        node("Sub", "h nine", "less"),
        node("Clip", "less zero", "none"),
        node("Sub", "nine h", "more"),
        node("Clip", "more - two", "some"),
        node("Concat", "zeros none zero1 zeros some zero1", "pads", axis=0),
        node("Pad", "x pads"),
    ]
    more = {"zeros": ints(0, 0), "zero1": ints(0), "two": ints(2), "nine": ints(9)}
    agrees(model(nodes, **more, zero=np.array(0)))


@pytest.mark.parametrize("opset", [9, 17])
@pytest.mark.parametrize(("op", "attrs"), FOLDED_REDUCTIONS)
def test_reductions_of_constants(op, attrs, opset):
    bounds = {"min": -0.5, "max": 0.25} if opset < 11 else {}
    clip = node("Clip", "r" if bounds else "r low high", "c", **bounds)
    names = {} if bounds else {"low": np.float32(-0.5), "high": np.float32(0.25)}
    nodes = [node(op, "w", "r", **attrs), clip, node("Add", "x c")]
    agrees(model(nodes, opset=opset, w=weights(1, 1, 6, 7, 8), **names))


def test_weights_may_be_constant_nodes_inputs_or_of_other_types():
    w = weights(1, 4, 6, 1, 1)
    tensor = onnx.numpy_helper.from_array(w.astype(np.float16))
    proto = model([node("Constant", "", "w", value=tensor), node("Conv", "x w b")], b=w[:, 0, 0, 0])
    proto.graph.input.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, [4]))
    typed = helper.make_tensor("b", TensorProto.FLOAT, [4], w[:, 0, 0, 0].tolist())
    proto.graph.initializer[0].CopyFrom(typed)
    graph = imported(proto)
    assert [spec.name for spec in graph.inputs] == ["x"]
    plain = model(node("Conv", "x w b"), w=w.astype(np.float16).astype("f4"), b=w[:, 0, 0, 0])
    x = weights(2, *IMAGE)
    assert np.array_equal(computed(graph, x), computed(imported(plain), x))


def test_frames_of_bytes():
    nodes = [node("Cast", "x", "f", to=TensorProto.FLOAT), node("Conv", "f w", "y")]
    graph = imported(model(nodes, dtype=TensorProto.UINT8, w=weights(1, 4, 6, 1, 1)))
    assert graph.inputs[0].dtype == "uint8"
    (y,) = run(graph, [np.full(IMAGE[1:], 255, np.uint8)])
    assert y.shape == (4, 7, 8)


def test_integers_between_two_scales_become_a_range():
    nodes = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z")]
    graph = imported(model(nodes, s=np.float32(0.5), z=np.uint8(2)), integers="float")
    (y,) = computed(graph, np.float32([[[[-9, 0.25, 9]]], [[[200, 1, 2]]]]).repeat(6, 1))
    assert y[:, 0, 0].tolist() == [[-1, 0.25, 9], [126.5, 1, 2]]


@pytest.mark.parametrize(
    "nodes",
    [
        node("ReduceMean", "x a"),
        node("Concat", "x x", axis=0),
        node("Softmax", "x", axis=0),
        node("Slice", "x a b a"),
    ],
    ids=lambda n: n.op_type,
)
def test_what_mixes_the_images_of_a_batch_is_refused(nodes):
    parts = {"a": ints(0), "b": ints(1)}
    used = {k: v for k, v in parts.items() if k in nodes.input}
    with pytest.raises(ValueError, match="across the images of a batch"):
        imported(model(nodes, **used))


# --- external data ---


def external(folder, location, **more):
    w = weights(1, 4, 6, 1, 1)
    proto = model(node("Conv", "x w"), w=w)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return path, w


def test_weights_beside_the_model(tmp_path):
    path, w = external(tmp_path, "net.bin", offset=8)
    (tmp_path / "net.bin").write_bytes(b"\0" * 8 + w.tobytes())
    assert np.array_equal(from_onnx(path).nodes[1].attrs["kernel"][0, 0].T, w[:, :, 0, 0])
    with pytest.raises(ValueError, match="pass the path of the model"):
        from_onnx(path.read_bytes())


@pytest.mark.parametrize("location", ["../net.bin", "/etc/hostname", "a/b", "..", "", "a\\b"])
def test_weights_elsewhere_are_refused(tmp_path, location):
    (tmp_path / "net.bin").write_bytes(bytes(96))
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(ValueError, match="must lie in a file beside the model"):
        from_onnx(external(inner, location)[0])


def test_links_are_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(96))
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "net.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="cannot be read"):
        from_onnx(external(inner, "net.bin")[0])


@pytest.mark.parametrize("more", [{"offset": 90}, {"offset": -1}, {"length": 10**9}, {"length": 4}])
def test_external_data_must_be_there(tmp_path, more):
    (tmp_path / "net.bin").write_bytes(bytes(96))
    with pytest.raises(ValueError, match=r"must be a file that holds|shape|buffer"):
        from_onnx(external(tmp_path, "net.bin", **more)[0])


# --- damage ---


def small():
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        node("Clip", "c lo hi", "k"),
        node("MaxPool", "k", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", "p", "s"),
        node("Slice", "s first last", "n"),
        node("Concat", "n rest", "to", axis=0),
        node("Reshape", "p to", "r"),
        node("Softmax", "r", axis=1),
    ]
    limits = {"lo": np.float32(0), "hi": np.float32(6), "rest": ints(-1)}
    bounds = {"first": ints(0), "last": ints(1)}
    parts = {"w": weights(1, 2, 3, 3, 3), "b": weights(2, 2), **limits, **bounds}
    return model(nodes, (1, 3, 4, 4), **parts).SerializeToString()


def tried(data):
    """Whether a file was accepted; it must be refused with a ValueError, and soon."""
    start = time.perf_counter()
    try:
        from_onnx(data)
        accepted = True
    except ValueError:
        accepted = False
    assert time.perf_counter() - start < 1
    return accepted


def test_every_beginning_of_a_file_is_refused_or_whole():
    data = small()
    assert tried(data)
    assert sum(tried(data[:length]) for length in range(len(data))) < 30


def test_flipped_bytes_are_refused_or_harmless():
    data = small()
    for position in range(len(data)):
        for value in (0, 0x7F, 0x80, 0xFF, data[position] ^ 1):
            tried(data[:position] + bytes([value]) + data[position + 1 :])


def test_more_parts_than_outputs_are_refused():
    proto = model(node("Split", "x", "a b", axis=1, num_outputs=2**30), outputs="a b")
    with pytest.raises(ValueError, match="into 1073741824 parts with 2 outputs"):
        imported(proto)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b"PK\x03\x04" + bytes(50), b"<html>", bytes(range(256))]
)
def test_other_files_are_refused(data):
    assert not tried(data)


@pytest.mark.parametrize("file", [3, None, [b""], object()])
def test_a_file_is_a_path_or_bytes(file):
    with pytest.raises(TypeError, match="file must be a path or bytes"):
        from_onnx(file)


LARGE = {
    "constant": [node("ConstantOfShape", "k", "w"), node("Conv", "x w")],
    "expanded": [node("Expand", "one k", "w"), node("Conv", "x w")],
    "many": [
        *(node("Expand", "one row", f"e{i}") for i in range(40)),
        node("Concat", " ".join(f"e{i}" for i in range(40)), "w", axis=0),
        node("ReduceProd", "w", "p"),
        node("Add", "x p"),
    ],
    "range": [node("Range", "zero many step", "w"), node("Add", "x w")],
    "resized": node("Resize", "x - f"),
    "resized along the other axis": node("Resize", "x - twice", mode="linear"),
    "padded": node("Pad", "x p"),
    "affine": node("HardSigmoid", "x"),
    "backwards": node("Slice", "x last first axis back"),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_small_file_makes_nothing_large(name):
    many = 10**9
    parts = {
        "k": ints(1, 6, 10**5, 10**5),
        "one": np.float32([[[[1]]]]),
        "row": ints(1, 1, 1000, 1000),
        "zero": np.array(0),
        "many": np.array(many),
        "step": np.array(1),
        "f": np.float32([1, 1, many, 1]),
        "twice": np.float32([1, 1, 2, 1]),
        "last": ints(many),
        "first": ints(-2 * many),
        "axis": ints(3),
        "back": ints(-1),
        "p": ints(0, 0, many, 0, 0, 0, 0, 0),
    }
    nodes = LARGE[name] if isinstance(LARGE[name], list) else [LARGE[name]]
    used = {i for n in nodes for i in n.input}
    long = ("affine", "backwards", "resized along the other axis")
    x = (1, 6, 7, many) if name in long else IMAGE
    data = model(nodes, x, **{k: v for k, v in parts.items() if k in used}).SerializeToString()
    tracemalloc.start()
    assert not tried(data)
    assert tracemalloc.get_traced_memory()[1] < 1 << 26
    tracemalloc.stop()
