"""Files that are read again and again, or claim to be vast: memory stays flat.

Loaders of others keep what they once allocated: pools, parsed files, packed weights.
"""

import gc
import importlib
import json
import pathlib
import tracemalloc

import numpy as np
import pytest
from fastdw import Input, Network, PointwiseConv2D, ops
from fastdw.network._network import _restore
from support import rng, signed

STATM = pathlib.Path("/proc/self/statm")
COUNT = 1000
KERNEL = signed(rng(1), (64, 256))


def fdw_file():
    x = Input((6, 7, 64))
    return Network(x, PointwiseConv2D(KERNEL, activation="relu")(x))._bytes()


def onnx_file():
    models = importlib.import_module("onnx_models")
    kernel = KERNEL.T.reshape(256, 64, 1, 1)
    nodes = [models.node("Conv", "x w", "c"), models.node("Relu", "c")]
    return models.model(nodes, (1, 64, 6, 7), w=kernel).SerializeToString()


def tflite_file():
    models = importlib.import_module("tflite_models")
    kernel = KERNEL.T.reshape(256, 1, 1, 64).copy()
    return models.model(models.conv(), (1, 6, 7, 64), w=kernel, b=np.zeros(256, np.float32))


def keras_file():
    models = importlib.import_module("keras_models")
    arrays = {"kernel": KERNEL.reshape(1, 1, 64, 256), "bias": np.zeros(256, np.float32)}
    sizes = {"filters": 256, "kernel_size": 1}
    return models.net(models.layer("Conv2D", arrays=arrays, **sizes), shape=(1, 6, 7, 64))


FORMATS = {
    "fdw": (fdw_file, Network.load, None),
    "onnx": (onnx_file, Network.from_onnx, "onnx"),
    "tflite": (tflite_file, Network.from_tflite, "tflite"),
    "h5": (keras_file, Network.from_keras, "h5py"),
}


def resident():
    gc.collect()
    return int(STATM.read_text().split()[1]) * 4096


@pytest.mark.skipif(not STATM.exists(), reason="needs Linux's record of memory")
@pytest.mark.parametrize("name", FORMATS)
def test_loading_a_thousand_times_holds_memory_flat(name, tmp_path):
    make, read, package = FORMATS[name]
    if package:
        pytest.importorskip(package)
    path, damaged = tmp_path / f"net.{name}", tmp_path / f"damaged.{name}"
    path.write_bytes(make())
    damaged.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    x = np.ones(read(path).inputs[0].shape[1:], np.float32)

    def load(count):
        for _ in range(count):
            read(path)(x, num_threads=1)
            with pytest.raises(ValueError, match=r"network|model|file"):
                read(damaged)
        return resident()

    before = load(COUNT // 5)
    # Each keeps 64 KiB of weights twice: were one in twenty left behind, it would show.
    assert load(COUNT) - before < 4 << 20


def test_a_table_for_a_vast_image_is_not_made_to_be_compared():
    """Whether a gather takes all rows in their order is seen from its length."""
    x = Input((4, 3, 8))
    data = Network(x, ops.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0))))._bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    graph = json.loads(header["__metadata__"]["graph"])
    graph["inputs"][0]["shape"] = [2**28, 1, 1]
    header["__metadata__"]["graph"] = json.dumps(graph)
    text = json.dumps(header).encode()
    file = len(text).to_bytes(8, "little") + text + data[8 + length :]
    tracemalloc.start()
    try:
        assert _restore(file).inputs[0].shape == (None, 2**28, 1, 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("name", ["onnx", "tflite", "h5"])
def test_arguments_of_a_wrong_kind(name):
    make, read, package = FORMATS[name]
    pytest.importorskip(package)
    data = make()
    for arguments in ({"outputs": [3]}, {"outputs": 3}, {"outputs": []}):
        with pytest.raises(TypeError, match="outputs must be names of values"):
            read(data, **arguments)
    for shape in (224, 6.5, {"x": 3}):
        with pytest.raises(TypeError, match=r"input_shape.* must be a sequence of ints"):
            read(data, input_shape=shape)
    for shape in ((), [], {"x": ()}):
        with pytest.raises(ValueError, match=r"input_shape.* must have an axis besides the batch"):
            read(data, input_shape=shape)
    with pytest.raises(TypeError, match=r"input_shape\[0\] must be an int"):
        read(data, input_shape=(6.0, 7, 64))
