"""Models and arrays that lie in the onnx package: layers that PyTorch and Caffe2 once exported.

Most are of opset 6, with the weights among the inputs of the graph.
"""

import collections
import pathlib
import re

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from fastdw import Network
from fastdw.importers.onnx import from_onnx
from fastdw.network._graph import run
from fastdw.network._rewrite import rewrite

DATA = pathlib.Path(onnx.__file__).parent / "backend/test/data"
CASES = sorted([*DATA.glob("pytorch-converted/*"), *DATA.glob("pytorch-operator/*")])
# Those that fastdw runs; all others must be refused, for the reason that the message gives.
RUN = """
    AvgPool1d AvgPool1d_stride AvgPool2d AvgPool2d_stride BatchNorm1d_3d_input_eval BatchNorm2d_eval
    BatchNorm2d_momentum_eval BatchNorm3d_eval BatchNorm3d_momentum_eval ConstantPad2d Conv1d
    Conv1d_dilated Conv1d_groups Conv1d_pad1 Conv1d_pad1size1 Conv1d_pad2 Conv1d_pad2size1
    Conv1d_stride Conv2d Conv2d_depthwise Conv2d_depthwise_padded Conv2d_depthwise_strided
    Conv2d_depthwise_with_multiplier Conv2d_dilated Conv2d_groups Conv2d_groups_thnn Conv2d_no_bias
    Conv2d_padding Conv2d_strided ConvTranspose2d ConvTranspose2d_no_bias ELU GLU GLU_dim LeakyReLU
    LeakyReLU_with_negval Linear Linear_no_bias LogSoftmax MaxPool1d MaxPool1d_stride
    MaxPool1d_stride_padding_dilation MaxPool2d MaxPool2d_stride_padding_dilation PReLU_1d
    PReLU_1d_multiparam PReLU_2d PReLU_2d_multiparam PReLU_3d PReLU_3d_multiparam PixelShuffle ReLU
    ReflectionPad2d ReplicationPad2d SELU Sigmoid Softmax Softmin Softplus Softsign Tanh ZeroPad2d
    log_softmax_dim3 log_softmax_lastdim softmax_functional_dim3 softmax_lastdim
    operator_addconstant operator_clip operator_concat2 operator_conv operator_convtranspose
    operator_exp operator_flatten operator_max operator_maxpool operator_min operator_pad
    operator_permute2 operator_reduced_mean operator_reduced_mean_keepdim operator_reduced_sum
    operator_reduced_sum_keepdim operator_repeat operator_repeat_dim_overflow operator_selu
    operator_sqrt operator_symbolic_override
"""
RUN = {f"test_{name}" for name in RUN.split()}


def tensors(paths):
    return [
        onnx.numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))
        for path in sorted(paths)
    ]


def test_the_cases_are_there():
    assert {path.name for path in CASES} >= RUN


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_converted(path):
    if path.name not in RUN:
        with pytest.raises(ValueError, match="that fastdw does not run: "):
            from_onnx(path / "model.onnx")
        return
    graph = from_onnx(path / "model.onnx")
    images = tensors(path.glob("test_data_set_0/input_*.pb"))[: len(graph.inputs)]
    wanted = tensors(path.glob("test_data_set_0/output_*.pb"))
    for version in (graph, rewrite(graph)[0]):
        each = [run(version, arrays) for arrays in zip(*images, strict=True)]
        for got, result in zip(map(np.stack, zip(*each, strict=True)), wanted, strict=True):
            assert got.shape == result.shape
            np.testing.assert_allclose(got, result, rtol=1e-3, atol=1e-6)


# Their weights are one number each, which each file makes itself; so their steps are counted too.
LIGHT = {
    "squeezenet": {"conv2d": 26, "concat": 8, "pool": 3, "global_pool": 1, "softmax": 1},
    "shufflenet": {"conv2d": 34, "depthwise": 16, "gather": 16, "pool": 5, "concat": 3},
    "resnet50": {"conv2d": 54, "pool": 2, "softmax": 1},
    "inception_v1": {"conv2d": 58, "pool": 14, "multiply": 4, "concat": 9, "unary": 4},
    "inception_v2": {"conv2d": 61, "pool": 13, "concat": 10, "softmax": 1},
    "densenet121": {"conv2d": 121, "affine": 62, "concat": 58, "pool": 4, "global_pool": 1},
}


@pytest.mark.parametrize("name", LIGHT)
def test_light_networks_become_few_steps(name):
    network = Network.from_onnx(DATA / f"light/light_{name}.onnx")
    steps = collections.Counter(node.op for node in network._graph.nodes)
    assert {op: steps[op] for op in LIGHT[name]} == LIGHT[name]
    assert steps["transpose"] == 1  # of the input
    (wanted,) = tensors([DATA / f"light/light_{name}_output_0.pb"])
    size = np.prod(network.inputs[0].shape[1:])
    x = (np.arange(size) / size).astype(np.float32).reshape(network.inputs[0].shape[1:])
    np.testing.assert_allclose(network(x), wanted[0], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", ["bvlc_alexnet", "vgg19", "zfnet512"])
def test_light_networks_that_would_make_their_weights_of_nothing(name):
    """Of 64 MB and more: no small file makes a large array. Else they have what fastdw runs."""
    path = DATA / f"light/light_{name}.onnx"
    with pytest.raises(ValueError, match=r"does not run: ConstantOfShape of the shape [^;]*") as e:
        from_onnx(path)
    assert set(re.findall(r"[;:] (\w+) ", str(e.value))) == {"ConstantOfShape"}
