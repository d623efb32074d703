"""The inverted residual: expanded, filtered and projected channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from fastdw import _arguments as check
from fastdw._arguments import describe
from fastdw._batch_norm import BatchNorm
from fastdw._geometry import Signature, window
from fastdw._isa import checked_sums, chosen_isa
from fastdw.converters import keras, torch
from fastdw.layers._composed import Composed
from fastdw.layers._layer import AddingLayer, Expanding, converted
from fastdw.layers._spec import Spec, checked_half
from fastdw.layers.squeeze import SqueezeExcite

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, ArrayInput, Ints, PaddingInput
    from fastdw.network._symbol import Symbol

NAMES = ("expand_kernel", "depthwise_kernel", "pointwise_kernel")
PREFIXES = ("expand_", "depthwise_", "")


def _halves(kernels: tuple[object, ...], epilogues: tuple[Any, ...]) -> tuple[Any, ...]:
    """The three convolutions, checked one against the other."""
    arrays = (
        check.pointwise_kernel(kernels[0], NAMES[0]),
        check.depthwise_kernel(kernels[1]),
        check.pointwise_kernel(kernels[2]),
    )
    check.chained(dict(zip(NAMES, arrays, strict=True)))
    parts = zip(NAMES, PREFIXES, arrays, epilogues, strict=True)
    return tuple(
        checked_half(name, prefix, array, check.output_channels(array), epilogue)
        for name, prefix, array, epilogue in parts
    )


@final
class InvertedResidual(Expanding, Composed, AddingLayer):
    """The block of MobileNetV2: 1 x 1 to more channels, depthwise, 1 x 1 to few.

    The shortcut is an argument of the call: ``layer(x, residual=x)``. Immutable, thread-safe,
    picklable, and independent of the arrays that it was built from.

    Parameters
    ----------
    expand_kernel : ndarray, (1, 1, Cin, E) or (Cin, E), float32
        From the channels to more of them.
    depthwise_kernel : ndarray, (kh, kw, E, m) or (kh, kw, E), float32
        One filter for each of the `m` outputs of each of these.
    pointwise_kernel : ndarray, (1, 1, E*m, F) or (E*m, F), float32
        The projection.
    strides, padding, data_format, dilation_rate
        Of the depthwise convolution, as in `separable_conv2d`.
    expand_bias, expand_batch_norm, expand_activation
        After the expansion.
    depthwise_bias, depthwise_batch_norm, depthwise_activation
        After the depthwise convolution.
    squeeze_excite : SqueezeExcite, optional
        On the result of the depthwise convolution, as MobileNetV3 and EfficientNet have it; of
        the same data_format.
    bias, batch_norm, activation
        After the projection, as in `separable_conv2d`.
    accumulate : {"float32", "float16"}
        As of `Network`: arrays are float32 all the same.

    Raises
    ------
    TypeError
        For a wrong Python type or dtype.
    ValueError
        For a wrong shape or value.
    RuntimeError
        For ``accumulate="float16"`` on a CPU that lacks it.

    References
    ----------
    ``torchvision.models.mobilenetv2.InvertedResidual``.

    Examples
    --------
    >>> matrix, taps = np.ones((2, 12), np.float32), np.ones((3, 3, 12), np.float32)
    >>> layer = InvertedResidual(matrix, taps, matrix.T, padding="same", expand_activation="relu6")
    >>> x = np.ones((1, 4, 4, 2), np.float32)
    >>> layer(x, residual=x).shape
    (1, 4, 4, 2)
    """

    __slots__ = ()

    def __init__(
        self,
        expand_kernel: ArrayInput,
        depthwise_kernel: ArrayInput,
        pointwise_kernel: ArrayInput,
        strides: Ints = 1,
        padding: PaddingInput = "valid",
        data_format: str = "NHWC",
        dilation_rate: Ints = 1,
        *,
        expand_bias: ArrayInput | None = None,
        expand_batch_norm: BatchNorm | None = None,
        expand_activation: ActivationInput = None,
        depthwise_bias: ArrayInput | None = None,
        depthwise_batch_norm: BatchNorm | None = None,
        depthwise_activation: ActivationInput = None,
        squeeze_excite: SqueezeExcite | None = None,
        bias: ArrayInput | None = None,
        batch_norm: BatchNorm | None = None,
        activation: ActivationInput = None,
        accumulate: str = "float32",
    ) -> None:
        halves = _halves(
            (expand_kernel, depthwise_kernel, pointwise_kernel),
            (
                (expand_bias, expand_batch_norm, expand_activation),
                (depthwise_bias, depthwise_batch_norm, depthwise_activation),
                (bias, batch_norm, activation),
            ),
        )
        layout = check.data_format(data_format)
        first, middle, last = (half.kernel for half in halves)
        _check_gate(squeeze_excite, last.shape[0], layout)
        view = window(middle.shape[:2], strides, dilation_rate, padding, layout, NAMES[1])
        signature = Signature(layout, NAMES[0], first.shape[0], last.shape[1], view)
        self._prepare(Spec(signature, halves, None, chosen_isa()))
        more = 0 if squeeze_excite is None else squeeze_excite.num_parameters
        beside: dict[str, Any] = {"squeeze_excite": squeeze_excite}
        if checked_sums(accumulate) != "float32":  # nor do pickles of before name it
            beside["accumulate"] = accumulate
        self._set(
            _settings=self._settings | beside,
            _num_parameters=self._num_parameters + more,
        )

    @property
    def squeeze_excite(self) -> SqueezeExcite | None:
        """The gate, if there is one."""
        gate: SqueezeExcite | None = self._settings["squeeze_excite"]
        return gate

    @property
    def nbytes(self) -> int:
        """Bytes of the weights; every shape of image in use packs them once more."""
        gate = self.squeeze_excite
        return super().nbytes + (0 if gate is None else gate.nbytes)

    @classmethod
    def from_keras(
        cls,
        expand_layer: object,
        depthwise_layer: object,
        pointwise_layer: object,
        expand_batch_norm: object = None,
        depthwise_batch_norm: object = None,
        batch_norm: object = None,
        *,
        expand_activation: Any = None,
        depthwise_activation: Any = None,
        activation: Any = None,
        padding: PaddingInput | None = None,
        squeeze_excite: SqueezeExcite | None = None,
        own_activation: bool = True,
    ) -> InvertedResidual:
        """Take weights and settings of three Keras layers, by their attributes.

        Parameters
        ----------
        expand_layer, pointwise_layer : keras.layers.Conv2D
            Built layers of 1 x 1.
        depthwise_layer : keras.layers.DepthwiseConv2D
            The built layer between them.
        expand_batch_norm, depthwise_batch_norm, batch_norm : BatchNormalization, optional
            What follows each of them; so do the activations.
        expand_activation, depthwise_activation, activation, padding, own_activation
            As in `SeparableConv2D.from_keras`; so are the errors. `padding` replaces that of the
            depthwise layer, and `own_activation` speaks of all three.
        squeeze_excite : SqueezeExcite, optional
            As in the constructor.

        Returns
        -------
        InvertedResidual
            That computes the same.
        """
        own = own_activation
        first = keras.Taken(expand_batch_norm, expand_activation, None, own)
        taps = keras.Taken(depthwise_batch_norm, depthwise_activation, padding, own)
        last = keras.Taken(batch_norm, activation, None, own)
        arguments = keras.inverted(
            keras.pointwise(expand_layer, first),
            keras.depthwise(depthwise_layer, taps),
            keras.pointwise(pointwise_layer, last),
        )
        return cls(
            **arguments,
            expand_batch_norm=converted(expand_batch_norm, BatchNorm.from_keras),
            depthwise_batch_norm=converted(depthwise_batch_norm, BatchNorm.from_keras),
            batch_norm=converted(batch_norm, BatchNorm.from_keras),
            squeeze_excite=squeeze_excite,
        )

    @classmethod
    def from_torch(
        cls,
        expand_module: object,
        depthwise_module: object,
        pointwise_module: object,
        *,
        expand_batch_norm: object = None,
        depthwise_batch_norm: object = None,
        batch_norm: object = None,
        expand_activation: Any = None,
        depthwise_activation: Any = None,
        activation: Any = None,
        padding: PaddingInput | None = None,
        squeeze_excite: SqueezeExcite | None = None,
        data_format: str = "NCHW",
    ) -> InvertedResidual:
        """Take weights of three ``torch.nn.Conv2d``, by their attributes.

        Parameters
        ----------
        expand_module, pointwise_module : torch.nn.Conv2d
            Of 1 x 1.
        depthwise_module : torch.nn.Conv2d
            With as many groups as channels.
        expand_batch_norm, depthwise_batch_norm, batch_norm : torch.nn.BatchNorm2d, optional
            What follows each of them; so do the activations.
        expand_activation, depthwise_activation, activation, padding, data_format
            As in `SeparableConv2D.from_torch`; so are the errors.
        squeeze_excite : SqueezeExcite, optional
            As in the constructor.

        Returns
        -------
        InvertedResidual
            That computes the same.
        """
        arguments = torch.inverted(
            torch.pointwise(expand_module),
            torch.depthwise(depthwise_module, padding),
            torch.pointwise(pointwise_module),
        )
        names = ("expand_activation", "depthwise_activation", "activation")
        given = (expand_activation, depthwise_activation, activation)
        functions: dict[str, Any] = {
            n: torch.activation(n, f) for n, f in zip(names, given, strict=True)
        }
        return cls(
            **arguments,
            **functions,
            expand_batch_norm=converted(expand_batch_norm, BatchNorm.from_torch),
            depthwise_batch_norm=converted(depthwise_batch_norm, BatchNorm.from_torch),
            batch_norm=converted(batch_norm, BatchNorm.from_torch),
            squeeze_excite=squeeze_excite,
            data_format=data_format,
        )

    def _recorded(self, x: Symbol, residual: Symbol | None) -> Symbol:
        from fastdw.network import _record
        from fastdw.network._record import record

        signature = self._signature
        order, gate, view = signature.data_format, self.squeeze_excite, signature.window
        assert view is not None, "the constructor made it"
        expand, middle, last = (
            {"bias": self._arrays[f"{p}bias"], "activation": self._settings[f"{p}activation"]}
            for p in PREFIXES
        )
        first, taps, second = (self._arrays[name] for name in NAMES)
        y = _record.channels_last(x, order)
        term = None if residual is None else _record.channels_last(residual, order)
        y = record("conv2d", [y], kernel=first.reshape(1, 1, *first.shape), **expand)
        y = record("depthwise", [y], kernel=taps, **_record.placed(view, y), **middle)
        y = y if gate is None else gate._gated(y)
        y = record("conv2d", [y, term], kernel=second.reshape(1, 1, *second.shape), **last)
        return _record.channels_first(y, order)


def _check_gate(gate: object, channels: int, layout: str) -> None:
    if gate is None:
        return
    if not isinstance(gate, SqueezeExcite):
        msg = f"squeeze_excite must be a SqueezeExcite or None, got {describe(gate)}"
        raise TypeError(msg)
    if gate._signature.channels != channels:
        msg = f"squeeze_excite has {gate._signature.channels} channels, but it gets {channels}"
        raise ValueError(msg)
    if gate.data_format != layout:
        msg = f"squeeze_excite must have data_format {layout!r}, but has {gate.data_format!r}"
        raise ValueError(msg)
