"""OpenVINO: the ONNX model, float32 arithmetic, with NCHW tensors and with NHWC tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..blocks import F32, Block
from .base import Model, Prepared, Session, Unsupported
from .onnx_model import onnx_model
from .onnxruntime import channels_last, planar

NAME = "openvino"
PACKAGES = ("openvino", "onnx")
READS = (".onnx", ".tflite")


def prepare(block: Block, threads: int) -> list[Prepared]:
    return [_prepared(block, threads, layout) for layout in ("NHWC", "NCHW")]


def _prepared(block: Block, threads: int, layout: str) -> Prepared:
    openvino: Any = import_module("openvino")
    core = openvino.Core()
    model = core.read_model(model=onnx_model(block).SerializeToString(), weights=b"")
    if layout == "NHWC":
        model = _with_channels_last(openvino, model)
    request = _request(core, model, threads)
    x = block.x if layout == "NHWC" else planar(block.x)
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))

    def output() -> F32:
        y: F32 = request.get_output_tensor().data
        return y if layout == "NHWC" else channels_last(y)

    return Prepared(_shared(request), output, layout, keep=x)


def read(model: Model, threads: int) -> Session:
    openvino: Any = import_module("openvino")
    core = openvino.Core()
    network = core.read_model(str(model.path))
    images = list(model.inputs.values())
    for port, x in zip(network.inputs, images, strict=True):
        if port.get_element_type().to_dtype() != x.dtype:
            msg = f"it takes {port.get_element_type().to_dtype()} where fastdw takes {x.dtype}"
            raise Unsupported(msg)
    network.reshape(dict(zip(network.inputs, [list(x.shape) for x in images], strict=True)))
    request = _request(core, network, threads)
    for i, x in enumerate(images):
        request.set_input_tensor(i, openvino.Tensor(x, shared_memory=True))
    count = len(network.outputs)

    def outputs() -> list[F32]:
        return [request.get_output_tensor(i).data for i in range(count)]

    return Session(_shared(request), outputs, keep=images)


def _request(core: Any, model: Any, threads: int) -> Any:
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        },
    )
    return compiled.create_infer_request()


def _shared(request: Any) -> Callable[[], object]:
    """The call that does not copy its results."""
    return functools.partial(request.infer, share_outputs=True)


def _with_channels_last(openvino: Any, model: Any) -> Any:
    steps = openvino.preprocess.PrePostProcessor(model)
    for port in (steps.input(), steps.output()):
        port.tensor().set_layout(openvino.Layout("NHWC"))
        port.model().set_layout(openvino.Layout("NCHW"))
    return steps.build()
