"""PyTorch modules as graphs, by way of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastdw._arguments import describe
from fastdw.importers.onnx import from_onnx

if TYPE_CHECKING:
    from fastdw.network._graph import Graph

_NEEDED = (
    "reading PyTorch modules needs torch 2.5 or later, onnx and onnxscript: "
    "pip install 'fastdw[torch]'"
)


def from_torch(module: Any, example: Any, *, outputs: Sequence[str] | None = None) -> Graph:
    """Read a PyTorch module: `torch.onnx.export` in memory, then `from_onnx`.

    Parameters
    ----------
    module : torch.nn.Module
        In the mode of evaluation: call ``module.eval()`` first.
    example : torch.Tensor, or tuple of them
        The inputs for one image, each with a batch of 1. Their shapes become the network's; their
        numbers are of no consequence.
    outputs : sequence of str, optional
        As in `from_onnx`, by the names that the exporter gives.

    Returns
    -------
    Graph
        Not yet rewritten, NCHW as the module is.

    Raises
    ------
    TypeError
        An argument of the wrong type.
    ValueError
        PyTorch cannot export the module, or it has operators that fastdw does not run: all of them
        are named.
    RuntimeError
        The packages that the export needs are missing or too old.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
        import torch
    except ImportError as error:
        raise RuntimeError(_NEEDED) from error
    if not isinstance(module, torch.nn.Module):
        msg = f"module must be a torch.nn.Module, got {describe(module)}"
        raise TypeError(msg)
    examples = example if isinstance(example, tuple) else (example,)
    if not examples or not all(isinstance(tensor, torch.Tensor) for tensor in examples):
        msg = f"example must be a tensor, or a tuple of them, got {describe(example)}"
        raise TypeError(msg)
    shapes = [tuple(tensor.shape) for tensor in examples]
    if any(shape[:1] != (1,) for shape in shapes):
        msg = f"example must be of one image, (1, ...), got {shapes}"
        raise ValueError(msg)
    if module.training:
        msg = "module must be in the mode of evaluation: call module.eval() first"
        raise ValueError(msg)
    return from_onnx(_exported(torch.onnx, module, examples), outputs=outputs)


def _exported(exporter: Any, module: Any, examples: tuple[Any, ...]) -> bytes:
    try:
        program = exporter.export(module, examples, dynamo=True, verbose=False)
        data: bytes = program.model_proto.SerializeToString()
    except TypeError as error:
        raise RuntimeError(_NEEDED) from error
    except exporter.OnnxExporterError as error:
        msg = f"PyTorch cannot export the module: {error}"
        raise ValueError(msg) from error
    return data
