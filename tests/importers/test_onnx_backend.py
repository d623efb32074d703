"""The node tests of the onnx package: each case is its own file, inputs and outputs.

All cases of these operators are run, or stand in a list with the reason why they are not; those
that must be refused are.
"""

import importlib
import re
import warnings

import numpy as np
import pytest
from fastdw.importers.onnx import from_onnx
from fastdw.network._graph import run
from fastdw.network._rewrite import rewrite

onnx = pytest.importorskip("onnx")

OPERATORS = (
    "abs add averagepool batch_normalization celu clip concat conv convtranspose depthtospace "
    "div dropout elu exp flatten gather gelu gemm globalaveragepool globalmaxpool "
    "groupnormalization hardsigmoid hardswish identity instance_normalization "
    "layernormalization leakyrelu log logsoftmax lpnormalization lrn matmul max maxpool mean "
    "min mish mul neg pad pow prelu reciprocal reduce_log_sum reduce_log_sum_exp reducel1 "
    "reducel2 reducemax reducemean reducemin reducesum reducesumsquare relu reshape resize "
    "rmsnormalization selu sigmoid slice softmax softplus softsign spacetodepth split sqrt "
    "squeeze sub sum swish tanh transpose unsqueeze upsample "
)


# Cases that must be refused, by their names.
REFUSED = {
    r"(?!maxpool).*_u?int\d+.*|.*_empty_set.*": "numbers other than floats",
    r"reduce_(max|min)_bool.*|pow_types_int.*": "numbers other than floats",
    r"(edge|reflect|wrap)_pad": "numbers other than floats",
    r".*pool_3d_.*|convtranspose_3d": "other than two dimensions",
    r"maxpool_with_argmax.*|dropout_.*mask.*": "a second output, of indices or of a mask",
    r"identity_(sequence|opt)": "no tensors",
    r"training_dropout.*|batchnorm_.*_training_mode": "training",
    r"concat_.d_axis_(0|negative_[23])(?<!3d_axis_negative_2)": "mixes the images of a batch",
    r"flatten_axis[023]|flatten_negative_axis[124]": "mixes the images of a batch",
    r"gather_(0|negative_indices)|(log)?softmax_axis_0": "mixes the images of a batch",
    r"l2normalization_axis_0": "mixes the images of a batch",
    r"reduce_log_sum_(asc_axes|desc_axes|default)": "mixes the images of a batch",
    r"reduce_\w+_default_axes_.*": "mixes the images of a batch",
    r"reshape_.*|split_.*default_axis.*|split_(\w+_)?1d.*": "mixes the images of a batch",
    r"(layer|rms)_normalization_(\d)d_axis(0|_negative_\2).*": "mixes the images of a batch",
    r"slice(_neg_steps|_negative_axes|_default_axes|_default_steps)?": "leaves out images",
    r"squeeze|transpose_(default|all_permutations_[2345])|unsqueeze_axis_0": "moves the batch",
    r"split_zero_size.*|slice_start_out_of_bounds": "an empty result",
    r"gemm_(transposeA|all_attributes)": "mixes the images of a batch",
    r"prelu_example": "slopes of each image",
    r"gemm_default_matrix_bias|matmul_[34]d|matmul_bcast": "weights of each image",
    r"matmul_(1d_.*|4d_1d)": "a vector, where a matrix of weights belongs",
    r"resize_.*_cubic.*": "cubic resizing",
    r"resize_tf_crop.*": "a crop that is an input",
    r"resize_.*_antialias": "smoothing before the picture is made smaller",
    r"resize_.*_not_(larger|smaller)": "a size that is a limit",
    r"pow(_example|_bcast_array)?": "of two computed values",
    r"pow_types_float32_.*": "exponents that differ",
}
# Cases of which the expected result is not what the definition says.
DISPUTED = {
    "resize_downsample_scales_linear_align_corners": "it takes 2.4 pixels for the new width, 2",
    "celu_bfloat16": "its numbers are those of bfloat16",
    "l1normalization_axis_0": "the axis of a vector, which is a batch here",
}
EVERY_INPUT = {"Add", "Sub", "Mul", "Div", "Sum", "Mean", "Max", "Min", "Concat"}


def collected():
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for operator in OPERATORS.split():
            importlib.import_module(f"{node.__name__}.{operator}")
    # Those spelt out in other operators test the definitions, in words that no model uses.
    return [c for c in node._NodeTestCases if "_expanded" not in c.name]


def reason(case):
    name = case.name.removeprefix("test_")
    return next((why for names, why in REFUSED.items() if re.fullmatch(names, name)), None)


CASES = [case for case in collected() if case.name.removeprefix("test_") not in DISPUTED]


def single(case):
    """The model with all inputs but images as constants, the images, the results wanted."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    arrays, results = case.data_sets[0]
    named = dict(zip([value.name for value in model.graph.input], arrays, strict=True))
    every = model.graph.node[0].op_type in EVERY_INPUT and "bcast" not in case.name
    images = list(named) if every else list(named)[:1]
    for name in (name for name in named if name not in images):
        tensor = named[name]
        if not isinstance(tensor, onnx.TensorProto):
            tensor = onnx.numpy_helper.from_array(np.asarray(tensor))
        model.graph.initializer.append(tensor)
        model.graph.initializer[-1].name = name
    images = {name: np.asarray(named[name]) for name in images if np.shape(named[name])}
    if all(image.ndim == 1 for image in images.values()):  # vectors become batches of one
        for value in model.graph.input:
            if value.name in images:
                shape = value.type.tensor_type.shape
                shape.dim.insert(0, onnx.TensorShapeProto.Dimension(dim_value=1))
        images = {name: image[np.newaxis] for name, image in images.items()}
        results = [np.asarray(result)[np.newaxis] for result in results]
    return model.SerializeToString(), list(images.values()), results


def test_most_cases_are_run():
    assert sum(reason(case) is None for case in CASES) >= 260


@pytest.mark.parametrize("names", REFUSED)
def test_every_reason_has_a_case(names):
    assert any(re.fullmatch(names, case.name.removeprefix("test_")) for case in CASES)


@pytest.mark.parametrize("case", [c for c in CASES if reason(c)], ids=lambda c: c.name)
def test_what_is_not_run_is_refused(case):
    with pytest.raises(ValueError, match=r"fastdw does not run|no tensor|is open|nothing computes"):
        from_onnx(single(case)[0])


@pytest.mark.parametrize("case", [c for c in CASES if not reason(c)], ids=lambda c: c.name)
def test_node(case):
    model, images, wanted = single(case)
    graph = from_onnx(model)
    for version in (graph, rewrite(graph)[0]):
        each = [run(version, arrays) for arrays in zip(*images, strict=True)]
        for got, result in zip(map(np.stack, zip(*each, strict=True)), wanted, strict=True):
            assert got.shape == result.shape
            np.testing.assert_allclose(got, result, rtol=case.rtol, atol=case.atol)
