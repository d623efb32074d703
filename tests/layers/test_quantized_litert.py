"""The bits of LiteRT's default kernels, tensor by tensor of a trained network, if it is here."""

import os
import pathlib

import numpy as np
import pytest
from fastdw import Quantization, QuantizedDepthwiseConv2D, QuantizedPointwiseConv2D
from support import rng

MODELS = os.environ.get("FASTDW_MODELS")
litert = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed")


@pytest.fixture(scope="module")
def network():
    path = pathlib.Path(MODELS or "") / "tiny_vww_96_int8.tflite"
    if not MODELS or not path.exists():
        pytest.skip("FASTDW_MODELS names no folder with tiny_vww_96_int8.tflite")
    return path


def quantization_of(detail):
    numbers = detail["quantization_parameters"]
    return Quantization(
        float(numbers["scales"][0]), int(numbers["zero_points"][0]), str(np.dtype(detail["dtype"]))
    )


def layers_of(interpreter):
    """Every depthwise and every pointwise convolution: layer, input, output."""
    tensors = {d["index"]: d for d in interpreter.get_tensor_details()}
    for op in interpreter._get_ops_details():
        if op["op_name"] not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            continue
        x, weights, bias = (tensors[i] for i in op["inputs"])
        y = tensors[op["outputs"][0]]
        numbers = interpreter.get_tensor(weights["index"])
        arguments = {
            "input": quantization_of(x), "output": quantization_of(y),
            "bias": interpreter.get_tensor(bias["index"]),
        }  # fmt: skip
        scales = weights["quantization_parameters"]["scales"]
        if op["op_name"] == "DEPTHWISE_CONV_2D":
            stride = x["shape"][1] // y["shape"][1]
            layer = QuantizedDepthwiseConv2D(
                numbers[0], scales, strides=int(stride), padding="same", **arguments
            )
        elif numbers.shape[1:3] == (1, 1):
            kernel = np.ascontiguousarray(numbers[:, 0, 0].T)
            layer = QuantizedPointwiseConv2D(kernel, scales, **arguments)
        else:
            continue  # the first one
        yield layer, x["index"], y["index"]


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
def test_every_block_of_a_trained_network(network):
    interpreter = litert.Interpreter(
        str(network),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=litert.OpResolverType.AUTO,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    layers = list(layers_of(interpreter))
    assert len(layers) == 26
    natural = np.load(network.with_suffix(".npz"))["in"]
    pictures = [natural] + [
        rng(seed).integers(-128, 128, natural.shape).astype(np.int8) for seed in range(3)
    ]
    for picture in pictures:
        interpreter.set_tensor(given["index"], picture.reshape(given["shape"]))
        interpreter.invoke()
        for layer, x, y in layers:
            got = layer(interpreter.get_tensor(x), num_threads=1)
            np.testing.assert_array_equal(got, interpreter.get_tensor(y), err_msg=repr(layer))
