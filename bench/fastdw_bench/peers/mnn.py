"""MNN: the ONNX model converted, with blocked tensors (NC4HW4) at both ends, high precision."""

from __future__ import annotations

import functools
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..blocks import F32, Block
from ..blocks8 import Block8
from .base import Model, Prepared, Session, Unsupported
from .onnx_model import onnx_model
from .onnxruntime import channels_last, planar

NAME = "mnn"
PACKAGES = ("MNN", "onnx")
READS = (".onnx", ".tflite")


def prepare(block: Block, threads: int) -> list[Prepared]:
    mnn: Any = import_module("MNN")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "block.onnx"
        path.write_bytes(onnx_model(block).SerializeToString())
        interpreter, session = _loaded(mnn, path, threads)
    # The image becomes blocked here, once.
    _give(mnn, interpreter.getSessionInput(session), planar(block.x))
    result = interpreter.getSessionOutput(session)

    def output() -> F32:
        return channels_last(_taken(mnn, result))

    run = functools.partial(interpreter.runSession, session)
    return [Prepared(run, output, "NC4HW4", keep=(interpreter, session))]


def prepare8(block: Block8, threads: int) -> list[Prepared]:
    del block, threads
    msg = "its 8-bit weights come from its own calibration"
    raise Unsupported(msg)


def read(model: Model, threads: int) -> Session:
    mnn: Any = import_module("MNN")
    interpreter, session = _loaded(mnn, model.path, threads)
    ports = {name: interpreter.getSessionInput(session, name) for name in model.inputs}
    for name, x in model.inputs.items():
        if x.dtype != np.float32 or ports[name].getDataType() != mnn.Halide_Type_Float:
            msg = f"it or fastdw takes another type than float32 as {name}"
            raise Unsupported(msg)
        if tuple(ports[name].getShape()) != x.shape:
            interpreter.resizeTensor(ports[name], x.shape)
    interpreter.resizeSession(session)
    for name, x in model.inputs.items():
        _give(mnn, ports[name], x)
    results = [interpreter.getSessionOutput(session, name) for name in model.outputs]
    run = functools.partial(interpreter.runSession, session)
    return Session(run, lambda: [_taken(mnn, result) for result in results])


def _loaded(mnn: Any, path: Path, threads: int) -> tuple[Any, Any]:
    """An interpreter and its session."""
    # The module behind MNN.tools.mnnconvert, which would also report statistics to a server.
    tools: Any = import_module("_tools")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.mnn"
        kind = path.suffix[1:].upper()
        tools.mnnconvert(
            ["mnnconvert", "-f", kind, "--modelFile", str(path), "--MNNModel", str(target)]
        )
        if not target.exists():
            msg = "its converter refuses the file"
            raise Unsupported(msg)
        interpreter = mnn.Interpreter(str(target))
    session = interpreter.createSession(
        {"backend": "CPU", "numThread": threads, "precision": "high", "memory": "high"}
    )
    return interpreter, session


def _give(mnn: Any, port: Any, x: F32) -> None:
    port.copyFrom(_host_tensor(mnn, x, port))


def _taken(mnn: Any, port: Any) -> F32:
    host = _host_tensor(mnn, np.zeros(port.getShape(), np.float32), port)
    port.copyToHostTensor(host)
    return np.array(host.getNumpyData(), np.float32)


def _host_tensor(mnn: Any, values: npt.NDArray[Any], port: Any) -> Any:
    """A tensor that points to an array, in the order of axes of the model."""
    return mnn.Tensor(values.shape, mnn.Halide_Type_Float, values, port.getDimensionType())
