"""ONNX Runtime: the block as an ONNX model, once in NCHW and once in the engine's own layout.

Around convolutions the engine reorders NCHW to a blocked layout and back. In a network that
happens once, around a single block it would weigh much more. So the model that the engine has
optimised is cut into the reorder at its head, a body and the reorder at its tail; the body is
measured between blocked tensors.
"""

from __future__ import annotations

import functools
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..blocks import Block
from ..blocks8 import Block8, signed, unsigned
from ..measure import Call
from .base import Model, Prepared, Session
from .onnx_model import onnx_model
from .onnx_model8 import onnx_model8

NAME = "onnxruntime"
PACKAGES = ("onnxruntime", "onnx")
READS = (".onnx",)

# Into the engine's own layout of float32, of integers, and back.
_REORDERS = (("ReorderInput", "ReorderOutput"), ("Transpose", "Transpose"))


def prepare(block: Block, threads: int) -> list[Prepared]:
    model = onnx_model(block)
    whole, x = _session(model.SerializeToString(), threads), planar(block.x)
    run, (output,) = _bound(whole, [x])
    variants = [Prepared(run, lambda: channels_last(output.numpy()), "NCHW")]
    parts = _cut(_optimised(model.SerializeToString()))
    if parts:
        head, body, tail = (_session(part, threads) for part in parts)
        blocked = _compute(head, x)
        run, (inner,) = _bound(body, [blocked])
        variants.append(
            Prepared(run, lambda: channels_last(_compute(tail, inner.numpy())), "NCHWc")
        )
    return variants


def prepare8(block: Block8, threads: int) -> list[Prepared]:
    content, x = onnx_model8(block).SerializeToString(), planar(unsigned(block.x))
    run, (output,) = _bound(_session(content, threads), [x])
    variants = [Prepared(run, lambda: signed(channels_last(output.numpy())), "NCHW")]
    parts = _cut(_optimised(content))
    if parts:
        head, body, tail = (_session(part, threads) for part in parts)
        run, (inner,) = _bound(body, [_compute(head, x)])
        variants.append(
            Prepared(run, lambda: signed(channels_last(_compute(tail, inner.numpy()))), "NHWC")
        )
    return variants


def read(model: Model, threads: int) -> Session:
    session = _session(str(model.path), threads)
    run, outputs = _bound(session, list(model.inputs.values()))
    return Session(run, lambda: [output.numpy() for output in outputs])


def planar(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def channels_last(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return x.transpose(0, 2, 3, 1)


def _session(model: bytes | str, threads: int, save_to: Path | None = None) -> Any:
    ort: Any = import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Errors only: a saved model warns that it fits this machine alone, which is what it is for.
    options.log_severity_level = 3
    if save_to:
        options.optimized_model_filepath = str(save_to)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _optimised(model: bytes) -> Any:
    onnx: Any = import_module("onnx")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        _session(model, 1, save_to=path)
        return onnx.load(str(path))


def _cut(model: Any) -> list[bytes] | None:
    """Split at the reorders; None where the engine did not choose a layout of its own."""
    onnx: Any = import_module("onnx")
    nodes, graph = list(model.graph.node), model.graph
    if (nodes[0].op_type, nodes[-1].op_type) not in _REORDERS:
        return None
    kind = graph.input[0].type.tensor_type.elem_type

    def tensor(name: str) -> Any:
        return onnx.helper.make_tensor_value_info(name, kind, None)

    parts = []
    for part in (nodes[:1], nodes[1:-1], nodes[-1:]):
        source, result = tensor(part[0].input[0]), tensor(part[-1].output[0])
        used = {name for node in part for name in node.input}
        constants = [constant for constant in graph.initializer if constant.name in used]
        cut = onnx.helper.make_graph(part, "part", [source], [result], constants)
        whole = onnx.helper.make_model(
            cut, opset_imports=model.opset_import, ir_version=model.ir_version
        )
        parts.append(whole.SerializeToString())
    return parts


def _compute(session: Any, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    y: npt.NDArray[Any] = session.run(None, {session.get_inputs()[0].name: x})[0]
    return y


def _bound(session: Any, images: list[npt.NDArray[Any]]) -> tuple[Call, list[Any]]:
    """Return the call on bound arrays, and what it fills."""
    ort: Any = import_module("onnxruntime")
    binding = session.io_binding()
    names = [port.name for port in session.get_inputs()]
    for name, x in zip(names, images, strict=True):
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(x))
    results = [
        ort.OrtValue.ortvalue_from_numpy(y)
        for y in session.run(None, dict(zip(names, images, strict=True)))
    ]
    for port, result in zip(session.get_outputs(), results, strict=True):
        binding.bind_ortvalue_output(port.name, result)
    return functools.partial(session.run_with_iobinding, binding), results
