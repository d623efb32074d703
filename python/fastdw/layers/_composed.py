"""Layers that are small networks: recorded once for each shape of image, and run as such."""

from __future__ import annotations

from contextlib import nullcontext
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw._arguments import output_channels
from fastdw._geometry import Plan, Signature
from fastdw._isa import packed_for
from fastdw.layers._call import checked_call
from fastdw.layers._layer import Layer
from fastdw.layers._spec import Spec
from fastdw.network._symbol import Symbol

if TYPE_CHECKING:
    from fastdw._typing import Float32
    from fastdw.network._graph import Graph
    from fastdw.network._network import Network

_NETWORKS = 4  # shapes that a layer remembers, as the layers of one operator do


class Composed(Layer):
    """Weights with BatchNorm folded in, and the networks of the last four shapes.

    A network packs weights of its own: every shape of image costs their memory once more.
    """

    __slots__ = ("_arrays", "_isa", "_networks")

    _arrays: dict[str, Float32]  # kernels and biases
    _isa: str | None
    _networks: dict[object, Network]

    def _prepare(self, spec: Spec) -> None:
        arrays = {}
        for half in spec.halves:
            kernel, bias, _ = half.packable()
            arrays[half.kernel_name] = kernel.copy()
            zeros = np.zeros(output_channels(kernel), np.float32)
            arrays[f"{half.prefix}bias"] = zeros if bias is None else bias.copy()
        self._describe(spec)
        self._set(_replay=_never, _arrays=arrays, _isa=spec.isa, _networks={})

    def _recorded(self, x: Symbol, residual: Symbol | None) -> Symbol:
        """What the layer makes of symbols that fit."""
        raise NotImplementedError

    def _weights(self) -> dict[str, Float32]:
        return {name: array.copy() for name, array in self._arrays.items()}

    def _call(self, x: object, residual: object, out: object, threads: object) -> Any:
        if isinstance(x, Symbol):
            from fastdw.network._record import only_symbols  # most programs need no networks

            if self.accumulate != "float32":
                msg = (
                    f"a network takes no layer of accumulate={self.accumulate!r}; make it without, "
                    f"and the network with accumulate={self.accumulate!r}"
                )
                raise ValueError(msg)
            self._signature.plan("x.shape", (1, *x.image_shape))  # its checks
            return self._recorded(x, only_symbols(residual, out))
        call = checked_call(self._signature, x, residual, out, threads)
        if call.out.size:
            values = (call.x,) if call.residual is None else (call.x, call.residual)
            image = self._image_shape(call.x.shape)
            network = self._network(image, adds=len(values) > 1)
            call.out[...] = network(*values, num_threads=call.num_threads)
        return call.result

    def _image_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape[-3:]

    def _graph(self, image_shape: tuple[int, ...], *, adds: bool = False) -> Graph:
        from fastdw.network._record import Input, graph_of

        x = Input(image_shape)
        inputs = [x]
        if adds:
            result = self._signature.plan("x.shape", (1, *image_shape)).shape[1:]
            inputs.append(Input(result, "residual"))
        return graph_of(inputs, self._recorded(x, inputs[1] if adds else None))

    def _network(self, image_shape: tuple[int, ...], *, adds: bool = False) -> Network:
        from fastdw.network._network import Network

        key, networks = (image_shape, adds), self._networks
        network = networks.get(key)
        if network is None:
            for old in list(networks)[: max(len(networks) + 1 - _NETWORKS, 0)]:
                networks.pop(old, None)
            with nullcontext() if self._isa is None else packed_for(self._isa):
                graph = self._graph(image_shape, adds=adds)
                network = Network._from_graph(graph, accumulate=self.accumulate)
            networks[key] = network
        return network

    def _plan_text(self, shape: tuple[int, ...], plan: Plan, threads: int) -> str:
        from fastdw.network import _summary

        network = self._network(self._image_shape(shape))
        return _summary.table(_summary.rows(network._graph, network._program))

    def macs(self, input_shape: tuple[int, ...]) -> int:
        """Multiply-accumulates for an input of a shape, as `Network.macs` counts them.

        Parameters
        ----------
        input_shape : tuple of int
            As in `output_shape`.

        Returns
        -------
        int

        Raises
        ------
        TypeError, ValueError
            As `output_shape`.
        """
        from fastdw.network import _summary
        from fastdw.network._graph import shapes

        shape = self._planned(input_shape)[0]
        image = self._image_shape(shape)
        graph = self._graph(image)
        known = shapes(graph)
        return prod(shape) // prod(image) * sum(_summary.macs(n, known) for n in graph.nodes)

    @property
    def nbytes(self) -> int:
        """Bytes of the weights; every shape of image in use packs them once more."""
        return sum(array.nbytes for array in self._arrays.values())


def _never(x: object, residual: object, out: object, threads: object) -> None:
    """No call is remembered by an operator."""


class RowSignature(Signature):
    """Of a layer that works on the last axis, whatever is before it."""

    __slots__ = ()

    def plan(self, label: str, shape: tuple[int, ...]) -> Plan:
        if not shape or 0 in shape[1:] or shape == (0,):
            msg = f"{label} must be (N, …, Cin) or (Cin,), each but N at least 1, got {shape}"
            raise ValueError(msg)
        if shape[-1] != self.channels:
            msg = (
                f"{self.kernel_name} has {self.channels} inputs, but "
                f"{label.removesuffix('.shape')} has {shape[-1]} ({label} = {shape})"
            )
            raise ValueError(msg)
        return Plan((*shape[:-1], self.filters), (1, 1, 1, 1, 0, 0))
