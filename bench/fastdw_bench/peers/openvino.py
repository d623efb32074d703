"""OpenVINO: the ONNX model, float32 arithmetic, with NCHW tensors and with NHWC tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy.typing as npt

from ..blocks import F32, Block
from ..blocks8 import Block8, signed, unsigned
from .base import Model, Prepared, Session, Unsupported
from .onnx_model import onnx_model
from .onnx_model8 import onnx_model8
from .onnxruntime import channels_last, planar

NAME = "openvino"
PACKAGES = ("openvino", "onnx")
READS = (".onnx", ".tflite")


def prepare(block: Block, threads: int) -> list[Prepared]:
    content = onnx_model(block).SerializeToString()
    return [_prepared(content, block.x, threads, layout) for layout in ("NHWC", "NCHW")]


def prepare8(block: Block8, threads: int) -> list[Prepared]:
    content, x = onnx_model8(block).SerializeToString(), unsigned(block.x)
    variants = (_prepared(content, x, threads, layout) for layout in ("NHWC", "NCHW"))
    return [replace(v, output=lambda v=v: signed(v.output())) for v in variants]  # type: ignore[misc]


def _prepared(content: bytes, image: npt.NDArray[Any], threads: int, layout: str) -> Prepared:
    openvino: Any = import_module("openvino")
    core = openvino.Core()
    model = core.read_model(model=content, weights=b"")
    if layout == "NHWC":
        model = _with_channels_last(openvino, model)
    request = _request(core, model, threads)
    x = image if layout == "NHWC" else planar(image)
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))

    def output() -> npt.NDArray[Any]:
        y: npt.NDArray[Any] = request.get_output_tensor().data
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
