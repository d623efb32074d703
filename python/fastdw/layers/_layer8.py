"""What the 8-bit layers share: checks, calls, pickling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw import _arguments as check
from fastdw import _core
from fastdw._arguments import nhwc
from fastdw._config import get_num_threads
from fastdw._geometry import Plan, Signature
from fastdw._half8 import Half8, core_sum
from fastdw._quantization import Quantization, integers
from fastdw.layers._call import to_be_filled
from fastdw.layers._layer import Layer
from fastdw.network._symbol import Symbol

if TYPE_CHECKING:
    from fastdw._typing import AnyArray, ArrayInput


class QuantizedLayer(Layer):
    """Weights of 8 bits, packed, and as they were given."""

    __slots__ = ("_addend", "_arrays", "_halves", "_input", "_result")

    _halves: dict[str, Half8]
    _arrays: dict[str, AnyArray]
    _input: Quantization
    _addend: Quantization | None
    _result: Quantization

    def _build(
        self,
        signature: Signature,
        halves: dict[str, Half8],
        parts: tuple[Any, ...],
        settings: dict[str, Any],
        pair: tuple[Quantization, Quantization] | None = None,
    ) -> None:
        """From halves by the names of their kernels, and their packed parts."""
        first, last = next(iter(halves.values())), list(halves.values())[-1]
        arrays: dict[str, AnyArray] = {}
        for name, half in halves.items():
            arrays |= half.arrays(name)
            settings[f"{half.prefix}activation"] = half.activation
        operator = self._made(halves, parts, core_sum(last.ends[1], pair))
        self._set(
            _signature=signature,
            _kernels={name: half.kernel.shape for name, half in halves.items()},
            _prefixes=tuple(half.prefix for half in halves.values()),
            _settings=settings,
            _num_parameters=sum(
                half.kernel.size + (0 if half.bias is None else half.bias.size)
                for half in halves.values()
            ),
            _halves=halves,
            _parts=tuple(part for part in parts if part is not None),
            _operator=operator,
            _replay=operator.replay,
            _arrays=arrays,
            _input=first.ends[0],
            _addend=None if pair is None else pair[0],
            _result=last.ends[1] if pair is None else pair[1],
        )

    def _made(
        self, halves: dict[str, Half8], parts: tuple[Any, ...], addition: tuple[int, ...] | None
    ) -> Any:
        """What runs them."""
        depthwise, pointwise = parts
        return _core.Operator8(depthwise, pointwise, addition)

    @property
    def dtype(self) -> str:
        """Of `x`: "int8" or "uint8"."""
        return self._input.dtype

    @property
    def accumulate(self) -> str:
        """Of sums: "int32"."""
        return "int32"

    @property
    def input_quantization(self) -> Quantization:
        """What the integers of `x` stand for."""
        return self._input

    @property
    def output_quantization(self) -> Quantization:
        """What those of the result stand for: that of `sum`, where a residual is added."""
        return self._result

    @property
    def residual_quantization(self) -> Quantization | None:
        """What those of the residual stand for; None where the layer adds none."""
        return self._addend

    def _weights(self) -> dict[str, AnyArray]:
        return dict(self._arrays)

    def _recorded(self, x: Symbol, residual: Symbol | None) -> Symbol:
        """What the layer makes of symbols: a node for each of its halves."""
        from fastdw.network._record import placed, record  # most programs need no networks

        self._signature.plan("x.shape", (1, *x.image_shape))  # its checks
        last = list(self._halves)[-1]
        for name, half in self._halves.items():
            attrs: dict[str, Any] = {
                "scales": half.scales,
                "bias": half.bias,
                "activation": half.activation,
                "input": half.ends[0],
                "output": half.ends[1],
            }
            if "depthwise" in name:
                view = self._signature.window
                assert view is not None, "the constructor made it"
                kernel = half.kernel
                x = record("quantized_depthwise", [x], kernel=kernel, **attrs, **placed(view, x))
                continue
            more: dict[str, Any] = {"kernel": half.kernel[np.newaxis, np.newaxis]}
            if name == last and residual is not None:
                more |= {"residual": self._addend, "sum": self._result}
            x = record("quantized_conv2d", [x, residual if name == last else None], **attrs, **more)
        return x

    def _call(self, x: object, residual: object, out: Any, threads: object) -> Any:
        if isinstance(x, Symbol):
            from fastdw.network._record import only_symbols

            return self._recorded(x, self._with_residual(only_symbols(residual, out)))
        image = integers("x", x, self._input)
        plan = self._signature.plan("x.shape", image.shape)
        addend = self._checked_residual(residual, plan.shape)
        count = check.num_threads(threads)
        dtype = np.dtype(self._result.dtype)
        result, filled = to_be_filled(out, plan.shape, dtype, image, addend)
        if not filled.size:
            return result
        target = filled if _side_by_side(filled) else np.empty(plan.shape, dtype)
        operator: Any = self._operator
        operator.run(
            nhwc(_readable(image), False),
            None if addend is None else nhwc(_readable(addend), False),
            nhwc(target, False),
            plan.geometry[4:],
            count,
        )
        operator.remember(image.shape, plan.shape, plan.geometry[4:])
        if target is not filled:
            filled[...] = target
        return result

    def _with_residual(self, residual: Any) -> Any:
        """A residual where the layer adds one, and only there."""
        if (residual is None) != (self._addend is None):
            has = "adds a residual, and needs one" if residual is None else "adds no residual"
            msg = f"this layer {has}: it was built {'with' if residual is None else 'without'} sum="
            raise ValueError(msg)
        return residual

    def _checked_residual(self, residual: object, shape: tuple[int, ...]) -> AnyArray | None:
        if self._with_residual(residual) is None or self._addend is None:
            return None
        addend = integers("residual", residual, self._addend)
        return check.residual(addend, shape, addend.dtype)

    def _plan_text(self, shape: tuple[int, ...], plan: Plan, threads: int) -> str:
        operator: Any = self._operator
        text: str = operator.plan(shape, plan.shape, threads)
        return text


def _side_by_side(array: AnyArray) -> bool:
    return array.shape[-1] == 1 or array.strides[-1] == 1


def _readable(array: AnyArray) -> AnyArray:
    """`array`, or its copy where channels are apart."""
    return array if _side_by_side(array) else np.ascontiguousarray(array)


class AddingQuantizedLayer(QuantizedLayer):
    """An 8-bit layer that can add a residual."""

    __slots__ = ()

    def __call__(
        self,
        x: ArrayInput,
        *,
        residual: ArrayInput | None = None,
        out: AnyArray | None = None,
        num_threads: int | None = None,
    ) -> Any:
        """Apply the layer.

        Parameters
        ----------
        x : ndarray, (N, H, W, C) or (H, W, C), int8 or uint8; or Symbol
            Of the layer's `input`. Where channels are apart it is copied.
        residual : ndarray, the result's shape, int8 or uint8
            Of the layer's `residual`: for layers that were built with one, and only these.
        out : ndarray, int8 or uint8, optional
            As in `pointwise_conv2d`.
        num_threads : int, optional
            1 ... 1024; the default is `get_num_threads`.

        Returns
        -------
        ndarray, (N, OH, OW, F) or (OH, OW, F), int8 or uint8
            `out`, where it was given.

        Raises
        ------
        TypeError
            For a wrong Python type or dtype.
        ValueError
            For a wrong shape, value, flag or overlap, and for an empty output.
        """
        threads = get_num_threads() if num_threads is None else num_threads
        result = self._replay(x, residual, out, threads)
        return self._call(x, residual, out, threads) if result is None else result


AddingQuantizedLayer.__call__.__qualname__ = "layer"
