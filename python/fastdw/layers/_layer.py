"""What the layers share: checks of an epilogue and of a call, sizes, pickling."""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from fastdw import _arguments as check
from fastdw import _core, _layers
from fastdw._activations import Activation, parse_activation
from fastdw._arguments import as_array, dense, describe, nhwc, readable
from fastdw._batch_norm import BatchNorm
from fastdw._config import get_num_threads
from fastdw._geometry import Window, plan
from fastdw._immutable import Immutable
from fastdw.network._symbol import Symbol

if TYPE_CHECKING:
    from fastdw._core import Geometry
    from fastdw._typing import Float32


class Half(NamedTuple):
    """Checked arguments of one convolution and its epilogue."""

    kernel: Float32
    bias: Float32 | None
    batch_norm: BatchNorm | None
    activation: Activation

    @property
    def num_parameters(self) -> int:
        return self.kernel.size + (0 if self.bias is None else self.bias.size)

    def packable(self) -> tuple[Float32, Float32 | None, _core.Activation]:
        """Kernel and bias with BatchNorm folded in, and the activation, as the core takes them."""
        kernel, bias = self.kernel, self.bias
        if self.batch_norm is not None:
            kernel, bias = self.batch_norm.fold(kernel, bias)
        return dense(kernel), None if bias is None else dense(bias), self.activation.core


def checked_half(
    kernel: Float32, channels: int, prefix: str, bias: object, batch_norm: object, act: object
) -> Half:
    """Check an epilogue on `channels`; the names of its arguments begin with `prefix`."""
    if batch_norm is not None:
        if not isinstance(batch_norm, BatchNorm):
            msg = f"{prefix}batch_norm must be a BatchNorm or None, got {describe(batch_norm)}"
            raise TypeError(msg)
        if len(batch_norm.mean) != channels:
            msg = (
                f"{prefix}batch_norm must have vectors of {channels} entries, one a channel, "
                f"got {len(batch_norm.mean)}"
            )
            raise ValueError(msg)
    return Half(
        kernel,
        None if bias is None else check.vector(f"{prefix}bias", bias, channels),
        batch_norm,
        parse_activation(f"{prefix}activation", act, channels),
    )


class Layer(Immutable):
    """What the layers share: the checks of a call in their order, sizes, pickling.

    A layer is its packed weights and plain numbers. All else that is kept is the shapes of the last
    call, in `_operator`: the next one goes straight through if it is like it.
    """

    __slots__ = (
        "_channels",
        "_data_format",
        "_filters",
        "_kernels",
        "_num_parameters",
        "_operator",
        "_replay",
        "_settings",
        "_window",
    )

    _channels: int  # of x
    _filters: int  # of the result
    _data_format: str
    _window: Window | None
    _kernels: dict[str, tuple[int, ...]]  # shapes, by the names of the constructor
    _settings: dict[str, Any]  # the other arguments that are no weights, for repr and pickle
    _num_parameters: int
    _operator: _core.Operator
    # x, residual, out, threads; None unless it is like the last call, so that every check holds
    _replay: Callable[[object, object, object, object], Float32 | None]

    def __init_subclass__(cls) -> None:
        if Layer in cls.__bases__:  # a user's class comes after one of these
            _layers.CLASSES[cls.__name__] = cls

    def _prepare(
        self,
        depthwise: _core.Depthwise | None,
        pointwise: _core.Pointwise | tuple[_core.Pointwise, ...] | None,
        pre_activation: _core.Activation | None = None,
        kernel_size: tuple[int, int] = (1, 1),
    ) -> None:
        planar = self._data_format == "NCHW"
        operator = _core.Operator(depthwise, pointwise, pre_activation, planar, kernel_size)
        self._set(_operator=operator, _replay=operator.replay)

    def _weights(self) -> dict[str, Float32]:
        """Unpacked kernels and biases, by the names of the constructor."""
        raise NotImplementedError

    def _plan(self, label: str, shape: tuple[int, ...]) -> tuple[tuple[int, ...], Geometry]:
        kernel = next(iter(self._kernels))
        return plan(
            label, shape, self._data_format, kernel, self._channels, self._filters, self._window
        )

    def _call(self, x: object, residual: object, out: Any, threads: object) -> Any:
        """Check a call that is not like the last one, compute it, remember its shapes.

        `__call__` of each layer asks `_replay` itself: by way of a common method a call would take
        50 ns more, a tenth of the least there is.
        """
        if isinstance(x, Symbol):
            from fastdw.network._record import record_layer  # most programs need no networks

            return record_layer(self, x, residual, out)
        # Every check comes before the first write to `out`.
        image = as_array("x", x)
        shape, geometry = self._plan("x.shape", image.shape)
        addend = None if residual is None else check.residual(residual, shape)
        count = check.num_threads(threads)
        if out is None:
            result = filled = _core.empty(shape)
        else:
            result, filled = out, check.out(out, shape, x=image, residual=addend)
        if filled.size:
            first = self._data_format == "NCHW"
            self._operator.run(
                readable(nhwc(image, first)),
                None if addend is None else readable(nhwc(addend, first)),
                nhwc(filled, first),
                geometry,
                count,
            )
            self._operator.remember(image.shape, shape, geometry)
        return result

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
        shape = self.output_shape(input_shape)
        if 0 in shape:
            msg = f"input_shape must have at least one image, got {input_shape}"
            raise ValueError(msg)
        count = check.num_threads(get_num_threads() if num_threads is None else num_threads)
        geometry = self._plan("input_shape", tuple(input_shape))[1]
        text: str = self._operator.plan(tuple(input_shape), shape, geometry, count)["text"]
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
        if not isinstance(input_shape, (tuple, list)):
            msg = f"input_shape must be a tuple of ints, got {describe(input_shape)}"
            raise TypeError(msg)
        shape = tuple(check.integer(f"input_shape[{i}]", n, 0) for i, n in enumerate(input_shape))
        return self._plan("input_shape", shape)[0]

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
        pixels = prod(self.output_shape(input_shape)) // self._filters
        return pixels * sum(map(prod, self._kernels.values()))

    @property
    def num_parameters(self) -> int:
        """Entries of the kernels and biases given; BatchNorm does not count."""
        return self._num_parameters

    def __repr__(self) -> str:
        arguments = self._kernels | {k: v for k, v in self._settings.items() if v is not None}
        text = ", ".join(f"{name}={reprlib.repr(value)}" for name, value in arguments.items())
        return f"{type(self).__name__}({text})"

    def __reduce__(self) -> tuple[object, ...]:
        cls = type(self)
        if _layers.CLASSES.get(cls.__name__) is not cls:
            msg = (
                f"{cls.__qualname__} cannot be pickled or copied, for it could not be loaded "
                "again; keep a layer of fastdw as an attribute instead of a subclass of its class"
            )
            raise TypeError(msg)
        arguments = {k: _layers.plain(v) for k, v in (self._weights() | self._settings).items()}
        return _layers._restore, (_layers.VERSION, cls.__name__, arguments, self._num_parameters)


def converted(batch_norm: object, convert: Callable[[object], BatchNorm]) -> BatchNorm | None:
    """A BatchNorm as it is, another library's by `convert`."""
    if batch_norm is None or isinstance(batch_norm, BatchNorm):
        return batch_norm
    return convert(batch_norm)
