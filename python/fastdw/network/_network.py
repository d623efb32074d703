"""Networks as users hold them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, final, overload

import numpy as np

from fastdw import _arguments as check
from fastdw._arguments import describe
from fastdw._config import get_num_threads
from fastdw._isa import checked_sums
from fastdw.network import _call, _file, _summary
from fastdw.network._graph import Graph, TensorSpec, checked, quantizations, rounded
from fastdw.network._lower import Lowerer, Program
from fastdw.network._models import FromModels

if TYPE_CHECKING:
    from fastdw._typing import AnyArray, ArrayInput
    from fastdw.network._symbol import Symbol

_MAX_ARENA = 1 << 30


@final
class Network(FromModels):
    """A whole network, prepared: one call from its inputs to its outputs.

    Immutable, thread-safe and picklable. A network takes and gives what its model does: the names,
    their order, and channels first where the model has them first. The batch is free; all other
    sizes are fixed.

    Parameters
    ----------
    inputs : Symbol or sequence of Symbol
        What `Input` made, in the order of the call.
    outputs : Symbol or sequence of Symbol
        What layers and `ops` made of them.
    accumulate : {"float32", "float16"}
        As in `load`.

    Raises
    ------
    TypeError
        For what is no symbol.
    ValueError
        For inputs that `Input` did not make, or outputs that need others.
    RuntimeError
        As `load`.

    References
    ----------
    ``keras.Model``, the functional style.
    """

    __slots__ = ("_graph", "_program")

    _graph: Graph
    _program: Program

    def __init__(
        self,
        inputs: Symbol | Sequence[Symbol],
        outputs: Symbol | Sequence[Symbol],
        *,
        accumulate: str = "float32",
    ) -> None:
        from fastdw.network._record import graph_of  # as `_rewritten`

        self._prepare(_rewritten(graph_of(inputs, outputs)), accumulate)

    @classmethod
    def _from_graph(
        cls, graph: Graph, limit: int | None = None, *, accumulate: str = "float32"
    ) -> Network:
        """A network of an importer's graph, after at most `limit` rewrites."""
        network = object.__new__(cls)
        network._prepare(_rewritten(checked(graph), limit), accumulate)
        return network

    def _prepare(self, graph: Graph, accumulate: str = "float32", limit: int | None = None) -> None:
        """Prepare a graph that is rewritten, its arrays of float32."""
        lowerer = Lowerer(graph, checked_sums(accumulate))
        size = 4 * lowerer.memory.arena.size
        if limit is not None and size > limit:
            msg = f"the network needs an arena of {size} bytes, more than max_arena_bytes, {limit}"
            raise ValueError(msg)
        self._set(_graph=graph, _program=lowerer.program())

    def __call__(
        self,
        *inputs: ArrayInput,
        out: AnyArray | Sequence[AnyArray] | None = None,
        num_threads: int | None = None,
    ) -> AnyArray | tuple[AnyArray, ...]:
        """Run the network.

        Parameters
        ----------
        *inputs : ndarray, as `inputs` says
            Each with the batch or, for one image, without it; all of the same batch.
        out : ndarray or sequence of ndarray, optional
            Receive the outputs, of their shapes and dtypes; C-contiguous, apart from the inputs.
        num_threads : int, optional
            As in `separable_conv2d`.

        Returns
        -------
        ndarray or tuple of ndarray
            One for each of `outputs`, float32 but for networks of integers; `out`, where it was
            given.

        Raises
        ------
        TypeError
            For a wrong Python type, dtype or number of inputs.
        ValueError
            For a wrong shape, value, flag or overlap.
        """
        threads = check.num_threads(get_num_threads() if num_threads is None else num_threads)
        program = self._program
        if out is None:  # then dense arrays of the right shapes leave nothing to check
            computed = program.core.call(inputs, program.signature, threads)
            if computed is not None:
                return computed[0] if len(computed) == 1 else computed
        arrays, batch = _call.arrays(self._graph, inputs)
        results, filled = _call.results(self._graph, program, batch, out, arrays)
        program.core.run(tuple(map(check.dense, arrays)), tuple(filled), threads)
        return results[0] if len(results) == 1 else tuple(results)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Name, shape, dtype and quantization of each input; the batch is None."""
        return self._specs(spec.name for spec in self._graph.inputs)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Name, shape, dtype and quantization of each output; the batch is None."""
        return self._specs(self._graph.outputs)

    def _specs(self, names: Iterable[str]) -> tuple[TensorSpec, ...]:
        program, known = self._program, quantizations(self._graph)
        return tuple(
            TensorSpec(name, (None, *program.shapes[name]), program.dtypes[name], known.get(name))
            for name in names
        )

    @property
    def num_parameters(self) -> int:
        """Entries of kernels, biases, factors and slopes, BatchNorm folded in."""
        return sum(map(_summary.parameters, self._graph.nodes))

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image; windows on a border count in full."""
        known = self._program.shapes
        return sum(_summary.macs(node, known) for node in self._graph.nodes)

    @property
    def arena_bytes(self) -> int:
        """Memory for what is between the steps, for any batch."""
        return 4 * self._program.arena.size

    @property
    def accumulate(self) -> str:
        """Dtype of the sums of convolutions: see `load`; `summary` lists it by step."""
        return self._program.accumulate

    @overload
    def summary(self, mode: Literal["text"] = ...) -> None: ...
    @overload
    def summary(self, mode: Literal["dict"]) -> dict[str, Any]: ...
    def summary(self, mode: str = "text") -> dict[str, Any] | None:
        """Show the steps that run, and what they hold and cost.

        Parameters
        ----------
        mode : {"text", "dict"}
            Print it, or return it.

        Returns
        -------
        dict or None
            ``steps`` (``step``, ``output``, ``num_parameters``, ``macs``, ``accumulate``: the
            dtype of its sums of products, None without, ``nbytes``, ``traffic``: bytes of arrays
            that it reads and writes, each counted once, ``from``: names in the model), their sums,
            ``arena_bytes``, ``arena_bound``, the least that any arena needs, and ``notes``: where
            the network computes otherwise than the model; None for "text".

        Raises
        ------
        TypeError, ValueError
            For another mode.
        """
        graph, program = self._graph, self._program
        return _summary.shown(mode, _summary.rows(graph, program), program.arena, graph.notes)

    def profile(
        self,
        *inputs: ArrayInput,
        repetitions: int = 20,
        num_threads: int | None = None,
        mode: str = "text",
    ) -> dict[str, Any] | None:
        """Show the steps as `summary` does, with the time that each takes.

        Parameters
        ----------
        *inputs : ndarray, as `inputs` says
            Zeros, one image, where there are none.
        repetitions : int
            Runs; of each step the median counts.
        num_threads : int, optional
            As in `separable_conv2d`.
        mode : {"text", "dict"}
            As in `summary`.

        Returns
        -------
        dict or None
            What `summary` returns, and in each step ``microseconds``, of all images, ``gflops``, a
            multiply-accumulate being two, and ``share`` of the sum.

        Raises
        ------
        TypeError, ValueError
            As a call, and for other repetitions or another mode.
        """
        known = self._program.shapes
        given = inputs or [np.zeros(known[s.name], s.dtype) for s in self._graph.inputs]
        arrays, batch = _call.arrays(self._graph, given)
        count = check.integer("repetitions", repetitions, 1)
        threads = check.num_threads(get_num_threads() if num_threads is None else num_threads)
        _, filled = _call.results(self._graph, self._program, batch, None, arrays)
        images = 1 if batch is None else batch
        dense = tuple(map(check.dense, arrays))
        runs = [self._program.core.profile(dense, tuple(filled), threads) for _ in range(count)]
        times = [0.0] * (len(self._graph.nodes) + 1)
        for node, time in zip(self._program.nodes, np.median(runs, axis=0).tolist(), strict=True):
            times[node] += time
        steps = _summary.timed(_summary.rows(self._graph, self._program), times, images)
        return _summary.shown(mode, steps, self._program.arena, self._graph.notes)

    def rescale_input(
        self,
        scale: float | AnyArray,
        offset: float | AnyArray = 0.0,
        dtype: str = "float32",
        *,
        reverse_channels: bool = False,
    ) -> Network:
        """A network that takes the input as a camera gives it.

        It computes this network on ``x * scale + offset``, quantised if its input is. Padding stays
        zeros of the rescaled image, as if it had been rescaled outside. The new input is
        (N, H, W, C), also where this network's is (N, C, H, W).

        Parameters
        ----------
        scale, offset : float or ndarray, (C,), float32 or float64
            For all channels, or for each in the order of the model. Mean and standard deviation of
            torchvision are ``scale = 1 / (255 * std)``, ``offset = -mean / std``.
        dtype : {"float32", "uint8"}
            Of the new input.
        reverse_channels : bool
            The new input has them in the opposite order: BGR for RGB.

        Returns
        -------
        Network

        Raises
        ------
        TypeError, ValueError
            For other values, and for a network of several inputs, or of one that is no image.
        """
        from fastdw.network._input import rescaled  # as `_rewritten`

        graph = rescaled(self._graph, scale, offset, dtype, reverse_channels)
        return self._from_graph(graph, accumulate=self.accumulate)

    def save(self, path: str | os.PathLike[str], weights: str = "float32") -> None:
        """Write the network to a file: a safetensors file, the graph as JSON in its metadata.

        Parameters
        ----------
        path : path-like
            By custom it ends in ".fdw". A file that is there is overwritten.
        weights : {"float32", "float16"}
            Of the kernels. "float16" halves the file and rounds each weight by up to one part in
            2048, BatchNorm folded in; loading gives them back as float32, exactly, and computes in
            float32. What there is one of for each channel, biases and slopes, stays float32: it is
            a hundredth of the file, and is added whole to sums. Kernels of 8-bit integers stay
            such. `summary` says that weights were rounded. Outputs change by 1e-3 of the largest
            or so, as far as a network does not amplify that.

        Raises
        ------
        TypeError, ValueError
            For other paths and weights, and for weights that float16 cannot hold.
        OSError
            Where the file cannot be written.
        """
        name, data = check.path("path", path), self._bytes(weights)
        with open(name, "wb") as file:
            file.write(data)

    @classmethod
    def load(
        cls,
        file: str | os.PathLike[str] | bytes,
        *,
        max_arena_bytes: int = _MAX_ARENA,
        accumulate: str = "float32",
    ) -> Network:
        """Read a network that `save` wrote; `from_onnx` and its like read models of others.

        Parameters
        ----------
        file : path-like or bytes
            The network. It need not be trusted: it holds no code, and every entry is checked.
        max_arena_bytes : int, default 2**30
            Refuse a network that needs more memory between its steps.
        accumulate : {"float32", "float16"}
            Of sums. With "float16" convolutions compute as layers of ``dtype="float16",
            accumulate="float16"`` do: input and kernels are rounded to float16, and so is the
            result. Transposed ones do not, nor do weights beyond 65504.

        Returns
        -------
        Network

        Raises
        ------
        TypeError
            For an argument of another type.
        ValueError
            For a damaged file, one of a newer version, and too large an arena.
        RuntimeError
            For ``accumulate="float16"`` on a CPU that lacks it: see `DepthwiseConv2D`.
        OSError
            Where the file cannot be read.
        """
        limit = check.integer("max_arena_bytes", max_arena_bytes, 0)
        sums = checked_sums(accumulate)
        if isinstance(file, (bytes, bytearray, memoryview)):
            data = bytes(file)  # BytesIO takes no view with steps
            return cls._read(io.BytesIO(data), sums, limit)
        path = check.path("file", file, "a path or bytes")
        try:
            with open(path, "rb") as source:
                return cls._read(source, sums, limit)
        except ValueError as error:
            msg = f"{os.path.basename(path)}: {error}"
            raise ValueError(msg) from error

    @classmethod
    def _read(cls, file: Any, accumulate: str = "float32", limit: int | None = None) -> Network:
        network = object.__new__(cls)
        graph, is_rewritten = _file.read(file)
        graph = graph if is_rewritten else _rewritten(graph, copied=False)
        network._prepare(graph, accumulate, limit)
        return network

    def _bytes(self, weights: str = "float32") -> bytes:
        file = io.BytesIO()
        _file.write(file, self._graph, weights, _file.REWRITES)
        return file.getvalue()

    def __repr__(self) -> str:
        specs = (f"{s.name}: {s.dtype} {s.shape}" for s in (*self.inputs, *self.outputs))
        words = list(specs)
        count = len(self._graph.inputs)
        return f"Network({', '.join(words[:count])} → {', '.join(words[count:])})"

    def __reduce__(self) -> tuple[object, ...]:
        self._check_pickled(Network)
        more = () if self.accumulate == "float32" else (self.accumulate,)
        return _restore, (self._bytes(), *more)


def _rewritten(graph: Graph, limit: int | None = None, *, copied: bool = True) -> Graph:
    from fastdw.network._rewrite import rewrite  # a file that was saved is loaded without

    return rounded(rewrite(graph, limit)[0], copied=copied)


def _restore(data: object, accumulate: str = "float32") -> Network:
    """Build a network from its pickle, the bytes of its file."""
    if not isinstance(data, bytes):
        msg = f"this pickled network is damaged: it must be bytes, got {describe(data)}"
        raise ValueError(msg)
    return Network._read(io.BytesIO(data), accumulate)
