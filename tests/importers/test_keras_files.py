"""Keras models as a whole: files of all versions, models in memory, what is refused, damage."""

import io
import json
import os
import pathlib
import sys
import types
import zipfile

import numpy as np
import pytest

pytest.importorskip("h5py")

import h5py
from fastdw import Network
from fastdw.importers.keras import from_keras
from keras_models import (
    IMAGE,
    agrees,
    computed,
    entry,
    h5,
    keras3,
    layer,
    model,
    net,
    sequential,
    weights,
)
from support import rng
from test_keras_layers import CONV, SIZE, B, W, X, conv

RELU = np.maximum(X, 0)


def symbol(name, call=0):
    history = {"keras_history": [name, call, 0], "shape": [None], "dtype": "float32"}
    return {"class_name": "__keras_tensor__", "config": history}


def test_a_trained_network():
    folder = os.environ.get("FASTDW_MODELS")
    if not folder:
        pytest.skip("FASTDW_MODELS names no folder of trained networks")
    path = pathlib.Path(folder) / "tiny_vww_96.h5"
    with np.load(path.with_name("tiny_vww_96_float.npz")) as arrays:
        x, wanted = arrays["in"], arrays["out:Identity"]
    graph = from_keras(path)
    (y,) = computed(graph, x)
    assert np.abs(y - wanted).max() <= 1e-6
    assert np.abs(Network.from_keras(path)(x) - wanted).max() <= 1e-4


# --- calls ---


def test_a_layer_that_is_called_twice_is_two_nodes():
    square = weights(7, 3, 3, 8, 8)
    part = layer(
        "Conv2D",
        "c",
        ["x", "c:0"],
        arrays={"kernel": square},
        use_bias=False,
        padding="same",
        kernel_size=3,
    )
    parts = [entry(), part]
    data = h5(model(*parts, outputs=["c:1"]), parts)
    graph = agrees(data, conv(conv(X, square, None, "same"), square, None, "same"))
    assert [n.source for n in graph.nodes] == [("c",), ("c",)]


def test_outputs_may_be_layers():
    data = net(layer("ReLU", "a"), layer("Lambda", "b", "a"))
    agrees(data, [RELU, X], outputs=["a", "x"])
    with pytest.raises(ValueError, match="outputs names 'd', which is no layer of the model"):
        from_keras(data, outputs=["d"])


def test_an_open_size_must_be_given():
    part = layer("ReLU")
    parts = [entry((2, None, None, 8)), part]
    data = h5(model(*parts), parts)
    with pytest.raises(ValueError, match=r"input 'x' is open, .*\(None, None, None, 8\); pass"):
        from_keras(data)
    with pytest.raises(
        ValueError, match="input_shape must be that of one image, without the batch"
    ):
        from_keras(data, input_shape=IMAGE)
    agrees(data, RELU, input_shape=IMAGE[1:])


def test_arithmetic_of_keras_2_and_3():
    wanted = (X + 3.0) * (1 / 6) * X
    config = model(entry(), layer("ReLU", "y"))
    old = [
        ("a", "__operators__.add", [["x", 0, 0, {"y": 3.0, "name": None}]]),
        ("m", "math.multiply", [["a", 0, 0, {"y": 1 / 6, "name": None}]]),
        ("y", "math.multiply", [["m", 0, 0, {"y": ["x", 0, 0], "name": None}]]),
    ]
    config["config"]["layers"][1:] = [
        {
            "class_name": "TFOpLambda",
            "config": {"name": name, "function": function},
            "name": name,
            "inbound_nodes": nodes,
        }
        for name, function, nodes in old
    ]
    agrees(h5(config, []), wanted)
    new = [
        ("a", "Add", [symbol("x"), 3.0]),
        ("m", "Multiply", [symbol("a"), 1 / 6]),
        ("y", "Multiply", [symbol("m"), symbol("x")]),
    ]
    for module in ("keras.src.ops.numpy", None):  # an .h5 file does not tell
        config["config"]["layers"][1:] = [
            {
                "class_name": kind,
                "config": {"name": name},
                "module": module,
                "name": name,
                "inbound_nodes": [{"args": args, "kwargs": {}}],
            }
            for name, kind, args in new
        ]
        agrees(h5(config, [], "3.5.0"), wanted)


# --- files of Keras 3, models in memory ---


@pytest.mark.parametrize("named", [True, False])
def test_weights_of_keras_3_are_found_by_name_or_by_count(named):
    first, other = (
        layer("Conv2D", name, reads, arrays=arrays, kernel_size=list(arrays["kernel"].shape[:2]))
        for name, reads, arrays in (
            ("b", "x", CONV),
            ("a", "b", {"kernel": weights(8, 1, 1, 5, 4), "bias": weights(9, 4)}),
        )
    )
    stored = [("layers/conv2d", first), ("layers/conv2d_1", other)]
    data = keras3(model(entry(), first, other), stored, named=named)
    wanted = conv() @ weights(8, 1, 1, 5, 4)[0, 0].astype(np.float64) + weights(9, 4)
    agrees(data, wanted)


def test_models_in_models_of_keras_3():
    part = layer("Conv2D", "c", arrays=CONV, **SIZE)
    inner = sequential(entry(), part, name="inner")
    outer = model(entry(), layer("Sequential", "inner", **inner["config"]))
    agrees(keras3(outer, [("layers/sequential/layers/conv2d", part)], named=False), conv())


def fake(kind, /, **members):
    """An object of a class that lies in the module keras, as far as anyone can see, on torch."""
    base = object
    for module in ("torch.nn.modules.module", "keras.src.layers"):
        base = type(kind, (base,), {"__module__": module, "__call__": fake})
    result = base()
    result.__dict__.update(members)
    return result


def test_a_model_in_memory(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(__version__="3.5.0"))
    part = layer("Conv2D", "c", arrays=CONV, **SIZE)
    config = sequential(entry(), part)["config"]
    variables = [fake("Variable", name=n, numpy=lambda a=a: a) for n, a in CONV.items()]
    layers = [fake("Conv2D", name="c", weights=variables)]
    agrees(fake("Sequential", layers=layers, get_config=lambda: config), conv())
    mine = type("Mine", (type(layers[0]),), {"call": lambda self, x: x})()
    mine.name, mine.weights = "c", variables
    with pytest.raises(ValueError, match=r"Conv2D with a call of test_keras_files\.Mine"):
        from_keras(fake("Sequential", layers=[mine], get_config=lambda: config))
    whole = type("Whole", (type(fake("Model")),), {"call": lambda self, x: x})()
    whole.layers, whole.get_config = layers, lambda: config
    with pytest.raises(ValueError, match="without a call of its own"):
        from_keras(whole)


def test_the_package_that_reads_files_is_named(monkeypatch):
    parts = [entry(), layer("ReLU")]
    files = [h5(model(*parts), parts), keras3(model(*parts), [])]
    monkeypatch.setitem(sys.modules, "h5py", None)
    for data in files:
        with pytest.raises(RuntimeError, match="needs the package h5py: pip install"):
            from_keras(data)


def test_what_is_no_model_is_a_type_error():
    for thing in (None, 3, types.SimpleNamespace(layers=[], get_config=dict)):
        with pytest.raises(TypeError, match="model must be a Keras model, "):
            from_keras(thing)


# --- what is refused ---


def test_everything_that_is_missing_is_said_at_once():
    data = net(
        layer("Lambda", "a"),
        layer("ReLU", "b", "a"),
        layer("LSTM", "c"),
        layer("ReLU", "d", threshold=1.0),
        layer("ReLU", "e", threshold=1.0),
        layer("Add", "y", "b c d e"),
    )
    with pytest.raises(ValueError, match="fastdw does not run") as error:
        from_keras(data)
    assert str(error.value) == (
        "the model has 3 operators that fastdw does not run: Lambda (node 'a'); LSTM (node 'c'); "
        "ReLU with threshold=1.0 (nodes 'd', 'e')"
    )


REFUSED = {
    "with novelty=3": layer("ReLU", novelty=3),
    "with novelty=True": layer("ReLU", novelty=True),
    "with groups=2": layer(
        "DepthwiseConv2D", arrays={"kernel": W}, groups=2, use_bias=False, **SIZE
    ),
    "with activation='squareplus'": layer("Activation", activation="squareplus"),
    "without its weights": layer("Conv2D", **SIZE),
    "with padding='causal'": layer("Conv2D", arrays=CONV, padding="causal", **SIZE),
    "with a kernel of shape": layer("Conv2D", arrays=CONV, kernel_size=3),
    "along axis 0": layer("Concatenate", "y", "x x", axis=0),
    "with slopes of shape": layer("PReLU", arrays={"alpha": weights(1, 6, 7, 8)}),
    "of dtype int8": layer("ReLU", dtype="int8"),
    "with interpolation='bicubic'": layer("UpSampling2D", size=2, interpolation="bicubic"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_not_supported_is_refused_by_name(reason):
    with pytest.raises(ValueError, match=f"fastdw does not run: .*{reason}"):
        from_keras(net(REFUSED[reason]))


def test_a_class_of_others_is_refused_by_its_whole_name():
    config = model(entry(), layer("ReLU"))
    config["config"]["layers"][1] |= {"module": "my.layers", "registered_name": "ReLU"}
    with pytest.raises(ValueError, match=r"my\.layers\.ReLU \(node 'relu'\)"):
        from_keras(h5(config, []))


def test_neutral_settings_of_other_versions_are_accepted():
    part = layer("ReLU", novelty=None, invention=False, list_of_them=[], kernel_initializer="ones")
    agrees(net(part), RELU)


# --- damage ---


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"\x89HDF\r\n\x1a\n", b"TFL3" * 8])
def test_a_foreign_file(data):
    with pytest.raises(ValueError, match="model"):
        from_keras(data)


def read(data):
    try:
        from_keras(data)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_truncated_files(kind):
    part = layer("Conv2D", arrays=CONV, **SIZE)
    config = model(entry(), part)
    data = h5(config, [part]) if kind == "h5" else keras3(config, [("layers/conv2d", part)])
    assert read(data)
    for end in range(0, len(data), 97):
        assert not read(data[:end])


def test_damaged_configurations():
    """The bytes of HDF5 are left whole: its library is not made for others."""
    part = layer("Conv2D", arrays=CONV, **SIZE)
    text = json.dumps(model(entry(), part))
    generator = rng(1)
    for _ in range(500):
        copy = list(text)
        for place in generator.integers(0, len(text), 2):
            copy[place] = chr(generator.integers(32, 127))
        read(h5("".join(copy), [part]))


@pytest.mark.parametrize("way", ["link", "storage"])
def test_weights_in_other_files_are_refused(way, tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["kernel"], file["bias"] = W, B
    part = layer("Conv2D", arrays=CONV, **SIZE)
    path = tmp_path / "net.h5"
    path.write_bytes(h5(model(entry(), part), [part]))
    with h5py.File(path, "a") as file:
        group = file["model_weights/conv2d/conv2d"]
        del group["kernel:0"]
        if way == "link":
            group["kernel:0"] = h5py.ExternalLink(str(other), "kernel")
        else:
            group.create_dataset("kernel:0", W.shape, W.dtype, external=[(str(other), 0, W.nbytes)])
    with pytest.raises(ValueError, match=r"Conv2D with(out its)? weights"):
        from_keras(path)


def test_a_small_file_does_not_become_a_large_one():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", bytes(64 << 20))
    with pytest.raises(ValueError, match="unpacks to 67108868 bytes"):
        from_keras(data.getvalue())


def test_a_model_that_reads_itself_is_refused():
    parts = [entry(), layer("ReLU", "a", "b"), layer("ReLU", "b", "a")]
    with pytest.raises(ValueError, match=r"layer '[ab]' reads its own result"):
        from_keras(h5(model(*parts), parts))
    parts = [entry(), layer("ReLU", "a", "x:1")]
    with pytest.raises(ValueError, match="nothing computes call 1 of layer 'x'"):
        from_keras(h5(model(*parts), parts))
