"""MNN: the ONNX model converted, with blocked tensors (NC4HW4) at both ends, high precision."""

from __future__ import annotations

import functools
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..blocks import F32, Block
from .base import Prepared
from .onnx_model import onnx_model
from .onnxruntime import channels_last, planar

NAME = "mnn"
PACKAGES = ("MNN", "onnx")


def prepare(block: Block, threads: int) -> list[Prepared]:
    mnn: Any = import_module("MNN")
    with tempfile.TemporaryDirectory() as folder:
        interpreter = mnn.Interpreter(str(_converted(block, Path(folder))))
    session = interpreter.createSession(
        {"backend": "CPU", "numThread": threads, "precision": "high", "memory": "high"}
    )
    source = interpreter.getSessionInput(session)
    # A host tensor points to its array. The image becomes blocked here, once.
    image = planar(block.x)
    source.copyFrom(_host_tensor(mnn, image))
    result = interpreter.getSessionOutput(session)

    def output() -> F32:
        n, height, width, channels = block.output_shape
        planes = np.zeros((n, channels, height, width), np.float32)
        host = _host_tensor(mnn, planes)
        result.copyToHostTensor(host)
        return channels_last(np.array(host.getNumpyData(), np.float32))

    run = functools.partial(interpreter.runSession, session)
    return [Prepared(run, output, "NC4HW4", keep=(interpreter, session))]


def _host_tensor(mnn: Any, planes: F32) -> Any:
    kind = mnn.Tensor_DimensionType_Caffe
    return mnn.Tensor(planes.shape, mnn.Halide_Type_Float, planes, kind)


def _converted(block: Block, folder: Path) -> Path:
    # The module behind MNN.tools.mnnconvert, which would also report statistics to a server.
    tools: Any = import_module("_tools")
    source, target = folder / "block.onnx", folder / "block.mnn"
    source.write_bytes(onnx_model(block).SerializeToString())
    options = ["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target)]
    tools.mnnconvert(options)
    return target
