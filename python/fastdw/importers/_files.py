"""A network from a file of any kind that fastdw reads, told by its suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fastdw.network._network import Network

_MODELS: dict[str, Callable[..., Network]] = {
    ".h5": Network.from_keras,
    ".keras": Network.from_keras,
    ".onnx": Network.from_onnx,
    ".tflite": Network.from_tflite,
}
SUFFIXES = (".fdw", *_MODELS)


def open_network(
    path: Path,
    *,
    outputs: Sequence[str] | None = None,
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    integers: str = "keep",
    accumulate: str = "float32",
) -> Network:
    """Read a network; `outputs` and `input_shape` as in `Network.from_onnx`, `integers` as in
    `Network.from_tflite`, `accumulate` as in `Network`.

    Raises
    ------
    ValueError
        For another suffix, whatever the reader of a kind raises it for, and for an option that a
        .fdw file has no use for.
    RuntimeError
        Where a package that the kind needs is missing, or the CPU does not add in float16.
    OSError
        Where the file cannot be read.
    """
    suffix = path.suffix.lower()
    # Of no other kind fastdw reads integers.
    more = {"integers": integers} if suffix in (".onnx", ".tflite") else {}
    if suffix in _MODELS:
        options = more | {"accumulate": accumulate}
        return _MODELS[suffix](path, outputs=outputs, input_shape=input_shape, **options)
    if suffix != ".fdw":
        msg = f"{path} must end in one of {', '.join(SUFFIXES)}"
        raise ValueError(msg)
    if outputs or input_shape or integers != "keep":
        msg = (
            f"{path.name} has its outputs, shapes and integers; they are chosen where a model is "
            "converted"
        )
        raise ValueError(msg)
    return Network.load(path, accumulate=accumulate)
