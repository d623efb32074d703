"""What the layers share: calls, sizes, pickling."""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from fastdw import _arguments as check
from fastdw import _core, _layers
from fastdw._arguments import describe
from fastdw._batch_norm import BatchNorm
from fastdw._config import get_num_threads
from fastdw._geometry import Plan, Signature
from fastdw._immutable import Immutable
from fastdw.layers._call import checked_call
from fastdw.layers._spec import Part, Spec
from fastdw.network._symbol import Symbol

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, AnyArray, ArrayInput, Float32, PaddingInput


class Layer(Immutable):
    """Packed weights, and what is left of the arguments without them.

    `_operator` also keeps the plans of the last four shapes: a call like one of these goes straight
    through.
    """

    __slots__ = (
        "_kernels",
        "_num_parameters",
        "_operator",
        "_parts",
        "_prefixes",
        "_replay",
        "_settings",
        "_signature",
    )

    _signature: Signature
    _kernels: dict[str, tuple[int, ...]]  # shapes, by the names of the constructor
    _prefixes: tuple[str, ...]  # of the other arguments of each half
    _settings: dict[str, Any]  # the arguments that are no weights, for repr and pickle
    _num_parameters: int
    _parts: tuple[Part, ...]
    _operator: _core.Operator
    # x, residual, out, threads; None unless it is like a call before, so that every check holds
    _replay: Callable[[object, object, object, object], AnyArray | None]

    def _prepare(self, spec: Spec) -> None:
        parts, operator = spec.pack()
        self._describe(spec)
        self._set(_parts=parts, _operator=operator, _replay=operator.replay)

    def _describe(self, spec: Spec) -> None:
        """Keep what is left of the arguments without their weights."""
        self._set(
            _signature=spec.signature,
            _kernels={half.kernel_name: half.kernel.shape for half in spec.halves},
            _prefixes=tuple(half.prefix for half in spec.halves),
            _settings=spec.settings(),
            _num_parameters=sum(half.num_parameters for half in spec.halves),
        )

    def _weights(self) -> dict[str, Float32]:
        """Unpacked kernels and biases, by the names of the constructor."""
        kernels, biases = zip(*(part.weights() for part in self._parts), strict=True)
        names = (f"{prefix}bias" for prefix in self._prefixes)
        return dict(zip(self._kernels, kernels, strict=True)) | dict(
            zip(names, biases, strict=True)
        )

    def _call(self, x: object, residual: object, out: object, threads: object) -> Any:
        """Check a call that is like none before, compute it, remember its shapes.

        `__call__` asks `_replay` itself: by way of a common method a call would take 50 ns more, a
        tenth of the least there is.
        """
        if isinstance(x, Symbol):
            from fastdw.network._record import record_layer  # most programs need no networks

            return record_layer(self, x, residual, out)
        call = checked_call(self._signature, x, residual, out, threads)
        if call.out.size:
            call.run(self._operator)
            if not call.halves:
                self._operator.remember(call.x.shape, *call.plan)
        return call.result

    def plan(self, input_shape: tuple[int, ...], *, num_threads: int | None = None) -> str:
        """What a call will do: kernels, blocks, threads and memory, as text for people.

        Parameters
        ----------
        input_shape : tuple of int
            (N, H, W, C) or (H, W, C), in the order of the layer's data_format.
        num_threads : int, optional
            As in a call.

        Returns
        -------
        str
            For contiguous arrays. Its wording may change from version to version.

        Raises
        ------
        TypeError, ValueError
            As `output_shape` and a call; also for N = 0.
        """
        shape, plan = self._planned(input_shape)
        if 0 in shape:
            msg = f"input_shape must have at least one image, got {input_shape}"
            raise ValueError(msg)
        count = check.num_threads(get_num_threads() if num_threads is None else num_threads)
        return self._plan_text(shape, plan, count)

    def _plan_text(self, shape: tuple[int, ...], plan: Plan, threads: int) -> str:
        """`plan` of checked arguments."""
        if self.dtype == "float16":
            return self._operator.plan_halves(shape, *plan, threads)
        text: str = self._operator.plan(shape, *plan, threads)["text"]
        return text

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the result for an input of a shape.

        Parameters
        ----------
        input_shape : tuple of int
            (N, H, W, C) or (H, W, C), in the order of the layer's data_format.

        Returns
        -------
        tuple of int
            As many axes, in the same order.

        Raises
        ------
        TypeError
            For what is no tuple of ints.
        ValueError
            For a shape that a call would refuse.
        """
        return self._planned(input_shape)[1].shape

    def macs(self, input_shape: tuple[int, ...]) -> int:
        """Multiply-accumulates for an input of a shape.

        Windows on a border count in full: N images with an output of OH x OW take
        N * OH * OW * kh * kw * C * m with a depthwise kernel, and N * OH * OW * Cin * F with a
        pointwise one.

        Parameters
        ----------
        input_shape : tuple of int
            (N, H, W, C) or (H, W, C), in the order of the layer's data_format.

        Returns
        -------
        int

        Raises
        ------
        TypeError, ValueError
            As `output_shape`.
        """
        pixels = prod(self.output_shape(input_shape)) // self._signature.filters
        return pixels * sum(map(prod, self._kernels.values()))

    def _planned(self, input_shape: object) -> tuple[tuple[int, ...], Plan]:
        """A checked shape, and where it leads."""
        if not isinstance(input_shape, (tuple, list)):
            msg = f"input_shape must be a tuple of ints, got {describe(input_shape)}"
            raise TypeError(msg)
        shape = tuple(check.integer(f"input_shape[{i}]", n, 0) for i, n in enumerate(input_shape))
        return shape, self._signature.plan("input_shape", shape)

    @property
    def kernel_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each kernel, by the name of its argument, as the constructor keeps it."""
        return dict(self._kernels)

    @property
    def strides(self) -> tuple[int, int]:
        """Pixels between windows: rows and columns."""
        window = self._signature.window
        return (1, 1) if window is None else window.strides

    @property
    def padding(self) -> PaddingInput:
        """ "valid", "same", "same_lower" or ((top, bottom), (left, right))."""
        window = self._signature.window
        return "valid" if window is None else window.padding

    @property
    def dilation_rate(self) -> tuple[int, int]:
        """Pixels between taps: rows and columns."""
        window = self._signature.window
        return (1, 1) if window is None else window.dilation_rate

    @property
    def data_format(self) -> str:
        """ "NHWC" or "NCHW"."""
        return self._signature.data_format

    @property
    def dtype(self) -> str:
        """Of x and of the result: "float32", or "float16" where the layer was made so."""
        return self._signature.dtype

    @property
    def accumulate(self) -> str:
        """Of sums: "float32", or "float16" where the layer was made so."""
        kind: str = self._settings.get("accumulate", "float32")
        return kind

    @property
    def activation(self) -> ActivationInput:
        """What is applied last, as a constructor takes it."""
        activation: ActivationInput = self._settings["activation"]
        return activation

    @property
    def num_parameters(self) -> int:
        """Entries of the kernels and biases given; BatchNorm does not count."""
        return self._num_parameters

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weights."""
        return sum(part.nbytes for part in self._parts)

    def __repr__(self) -> str:
        arguments = self._kernels | {k: v for k, v in self._settings.items() if v is not None}
        text = ", ".join(f"{name}={reprlib.repr(value)}" for name, value in arguments.items())
        return f"{type(self).__name__}({text})"

    def __reduce__(self) -> tuple[object, ...]:
        name = type(self).__name__
        self._check_pickled(_layers.layer_class(name))
        arguments = {k: _layers.plain(v) for k, v in (self._weights() | self._settings).items()}
        return _layers._restore, (_layers.VERSION, name, arguments, self._num_parameters)


class WithDepthwise(Layer):
    """A layer with a depthwise half before its last one."""

    __slots__ = ()

    @property
    def depthwise_activation(self) -> ActivationInput:
        """What is applied after the depthwise half, as a constructor takes it."""
        activation: ActivationInput = self._settings["depthwise_activation"]
        return activation


class Expanding(WithDepthwise):
    """A layer that makes more channels before that."""

    __slots__ = ()

    @property
    def expand_activation(self) -> ActivationInput:
        """What is applied after the expansion, as a constructor takes it."""
        activation: ActivationInput = self._settings["expand_activation"]
        return activation


class AddingLayer(Layer):
    """A layer that can add a residual."""

    __slots__ = ()

    def __call__(
        self,
        x: ArrayInput,
        *,
        residual: ArrayInput | None = None,
        out: AnyArray | None = None,
        num_threads: int | None = None,
    ) -> AnyArray:
        """Apply the layer.

        Parameters
        ----------
        x : ndarray, (N, H, W, C) or (H, W, C), of the layer's dtype
            In the order of the layer's data_format.
        residual : ndarray, the result's shape and dtype, optional
            Added before the activation.
        out : ndarray, of the layer's dtype, optional
            As in `pointwise_conv2d`.
        num_threads : int, optional
            1 ... 1024; the default is `get_num_threads`.

        Returns
        -------
        ndarray, (N, OH, OW, F) or (OH, OW, F), of the layer's dtype
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


# What Python calls it where an argument is missing or too much; users have no AddingLayer.
AddingLayer.__call__.__qualname__ = "layer"


def converted(batch_norm: object, convert: Callable[[object], BatchNorm]) -> BatchNorm | None:
    """A BatchNorm as it is, another library's by `convert`."""
    if batch_norm is None or isinstance(batch_norm, BatchNorm):
        return batch_norm
    return convert(batch_norm)
