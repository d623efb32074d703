"""Small ONNX models, and the onnx package's own evaluator as the witness."""

import numpy as np
import onnx
from fastdw.importers.onnx import from_onnx
from fastdw.network._graph import run
from fastdw.network._rewrite import rewrite
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from support import rng, signed

IMAGE = (2, 6, 7, 8)  # N, C, H, W


def node(op, inputs, outputs="y", **attributes):
    """A node; names are separated by blanks, and a dash is an input that is left out."""
    names = [name.replace("-", "") for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), name=f"{op} {outputs}", **attributes)


def spelt_norm(end, axes="a", square="Mul"):
    """Of x over these axes the mean m, x less that, c, and the variance v; then what ends it."""
    return [
        node("ReduceMean", f"x {axes}", "m"),
        node("Sub", "x m", "c"),
        node(square, {"Mul": "c c", "Pow": "c two"}[square], "q"),
        node("ReduceMean", f"q {axes}", "v"),
        *end,
    ]


def weights(seed, *shape):
    return signed(rng(seed), shape)


def ints(*values):
    return np.array(values, np.int64)


def model(nodes, x=IMAGE, opset=18, outputs="y", dtype=TensorProto.FLOAT, domains=(), **constants):
    """A model of one input, x; its batch is open."""
    nodes = nodes if isinstance(nodes, list) else [nodes]
    shapes = x if isinstance(x, dict) else {"x": x}
    graph = helper.make_graph(
        nodes,
        "graph",
        [
            helper.make_tensor_value_info(name, dtype, ["N", *shape[1:]])
            for name, shape in shapes.items()
        ],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs.split()],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def imported(proto, **options):
    return from_onnx(proto.SerializeToString(), **options)


def computed(graph, *arrays):
    """The results of a graph, image by image."""
    each = [run(graph, images) for images in zip(*arrays, strict=True)]
    return [np.stack(results) for results in zip(*each, strict=True)]


def agrees(proto, x=IMAGE, seed=1, wanted=None):
    """The graph of a model, once it gives what the onnx package gives, rewritten or not."""
    shapes = x if isinstance(x, dict) else {"x": x}
    arrays = {name: weights(seed + i, *shape) for i, (name, shape) in enumerate(shapes.items())}
    graph = imported(proto)
    if wanted is None:
        wanted = ReferenceEvaluator(proto).run(None, arrays)
    for version in (graph, rewrite(graph)[0]):
        for got, result in zip(computed(version, *arrays.values()), wanted, strict=True):
            assert got.shape == result.shape
            np.testing.assert_allclose(got, result, rtol=2e-5, atol=2e-5 * np.abs(result).max())
    return graph


def counts(graph, op):
    return sum(n.op == op for n in graph.nodes)


__all__ = [
    "IMAGE",
    "TensorProto",
    "agrees",
    "computed",
    "counts",
    "helper",
    "imported",
    "ints",
    "model",
    "node",
    "onnx",
    "spelt_norm",
    "weights",
]
