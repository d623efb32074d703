"""How a network comes from a trained model of others; each importer is imported on use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdw._immutable import Immutable
from fastdw.network._layout import arranged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from fastdw.network._graph import Graph
    from fastdw.network._network import Network


class FromModels(Immutable):
    """The class methods of `Network` that read models."""

    __slots__ = ()

    @classmethod
    def _from_graph(cls, graph: Graph, *, accumulate: str) -> Network:
        raise NotImplementedError

    @classmethod
    def from_onnx(
        cls,
        file: str | PathLike[str] | bytes,
        *,
        outputs: Sequence[str] | None = None,
        input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
        data_format: str | None = None,
        integers: str = "keep",
        accumulate: str = "float32",
    ) -> Network:
        """Read an ONNX model.

        It needs the package onnx: ``pip install 'fastdw[onnx]'``. The first axis of the model is
        the batch, whatever size it gives it. Weights of float16 and float64 become float32.

        Parameters
        ----------
        file : path-like or bytes
            The model. Weights in other files must lie beside it; links are not followed.
        outputs : sequence of str, optional
            Names of values: the network ends there, and gives these in place of the model's
            outputs.
        input_shape : sequence of int, or dict of str to sequence of int, optional
            Shape of one image, in the order of axes of the model; by name where it has several
            inputs. Needed where the model leaves it open.
        data_format : {"NHWC", "NCHW"}, optional
            Of the images that the network takes and gives; as in the model by default. What is no
            image, such as a row of logits, stays as it is.
        integers : {"keep", "float"}
            How what stands between QuantizeLinear and DequantizeLinear runs. "keep": in integers,
            as ONNX Runtime computes them: convolutions give its bits. "float": in float32, within
            the ranges of the integers; an input of uint8 is taken as such, one of int8 as the
            float32 numbers that it stands for (see `dequantize`), and outputs are such numbers.
        accumulate : {"float32", "float16"}
            As in `Network.load`.

        Returns
        -------
        Network

        Raises
        ------
        TypeError
            For an argument of another type.
        ValueError
            For a damaged file, one that has operators that fastdw does not run, all of which are
            named, and for other values of the arguments.
        OSError
            Where the file cannot be read.
        RuntimeError
            Where the package onnx is missing, and as `Network.load`.

        References
        ----------
        https://github.com/onnx/onnx/blob/main/docs/Operators.md
        """
        from fastdw.importers.onnx import from_onnx

        graph = from_onnx(file, outputs=outputs, input_shape=input_shape, integers=integers)
        return cls._from_graph(arranged(graph, data_format), accumulate=accumulate)

    @classmethod
    def from_tflite(
        cls,
        file: str | PathLike[str] | bytes,
        *,
        outputs: Sequence[str] | None = None,
        input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
        data_format: str | None = None,
        integers: str = "keep",
        accumulate: str = "float32",
    ) -> Network:
        """Read a TFLite model.

        It needs the packages tflite and flatbuffers: ``pip install 'fastdw[tflite]'``. Weights of
        float16 become float32.

        Parameters
        ----------
        file : path-like or bytes
            The model. Bytes after it, such as appended metadata, are ignored.
        outputs, input_shape, data_format
            As in `from_onnx`; the names are those of tensors.
        integers : {"keep", "float"}
            How a model of 8-bit integers runs. "keep": in integers, inputs and outputs too, whose
            `quantization` says what they stand for: the bits of LiteRT, but for what `summary` says
            to run in float32 in between. "float": in float32, weights and values, each of these
            clamped to the range that its type had; inputs and outputs as in `from_onnx`.
        accumulate : {"float32", "float16"}
            As in `Network.load`.

        Returns
        -------
        Network

        Raises
        ------
        TypeError, ValueError, OSError
            As `from_onnx` does.
        RuntimeError
            Where a package is missing, and as `Network.load`.

        References
        ----------
        https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/schema/schema.fbs
        """
        from fastdw.importers.tflite import from_tflite

        graph = from_tflite(file, outputs=outputs, input_shape=input_shape, integers=integers)
        return cls._from_graph(arranged(graph, data_format), accumulate=accumulate)

    @classmethod
    def from_keras(
        cls,
        model: Any,
        *,
        outputs: Sequence[str] | None = None,
        input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
        data_format: str | None = None,
        accumulate: str = "float32",
    ) -> Network:
        """Read a Keras model, in memory or from its file.

        Files need the package h5py: ``pip install 'fastdw[keras]'``; Keras itself is not imported.
        The network computes in float32, whatever the model's policy. Models within the model become
        a part of it, a layer that is called twice two steps.

        Parameters
        ----------
        model : keras.Model, path-like or bytes
            A built model of Keras 2 or 3, or its .keras or .h5 file.
        outputs : sequence of str, optional
            Names of layers: the network ends there, and gives their results in place of the
            model's outputs.
        input_shape, data_format
            As in `from_onnx`; the names are those of input layers.
        accumulate : {"float32", "float16"}
            As in `Network.load`.

        Returns
        -------
        Network

        Raises
        ------
        TypeError, ValueError, OSError
            As `from_onnx` does.
        RuntimeError
            Where a package is missing, and as `Network.load`.

        References
        ----------
        https://keras.io/api/layers/
        """
        from fastdw.importers.keras import from_keras

        graph = from_keras(model, outputs=outputs, input_shape=input_shape)
        return cls._from_graph(arranged(graph, data_format), accumulate=accumulate)

    @classmethod
    def from_torch(
        cls,
        module: Any,
        example: Any,
        *,
        outputs: Sequence[str] | None = None,
        data_format: str | None = None,
        accumulate: str = "float32",
    ) -> Network:
        """Read a PyTorch module, which torch.onnx.export turns into an ONNX model in memory.

        Beside torch 2.5 or later it needs the packages onnx and onnxscript.

        Parameters
        ----------
        module : torch.nn.Module
            In the mode of evaluation: call ``module.eval()`` first.
        example : torch.Tensor, or tuple of them
            The inputs for one image, each with a batch of 1. Their shapes become the network's.
        outputs : sequence of str, optional
            As in `from_onnx`, by the names that the exporter gives.
        data_format : {"NHWC", "NCHW"}, optional
            As in `from_onnx`; NCHW by default, as the module.
        accumulate : {"float32", "float16"}
            As in `Network.load`.

        Returns
        -------
        Network

        Raises
        ------
        TypeError
            For an argument of another type.
        ValueError
            For a module that PyTorch cannot export or that has operators that fastdw does not run,
            all of which are named.
        RuntimeError
            Where a package is missing or too old, and as `Network.load`.
        """
        from fastdw.importers.torch import from_torch

        graph = from_torch(module, example, outputs=outputs)
        return cls._from_graph(arranged(graph, data_format), accumulate=accumulate)
