"""Layers of Keras 2 and 3. Those of one axis become ones of two, of height 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw.converters import _trust
from fastdw.converters._read import FLOATS, numpy, optional, require, weight

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, AnyArray, PaddingInput

_CONV = ("strides", "padding", "data_format", "dilation_rate", "activation", "use_bias")
_BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance", "epsilon", "axis")
_CURE = 'build the layer with dtype="float32"'


class Taken(NamedTuple):
    """What a user says of a layer besides the layer."""

    batch_norm: object = None
    activation: object = None
    padding: PaddingInput | None = None
    """In place of the layer's; None is the layer's."""
    own_activation: bool = True


def separable(layer: Any, taken: Taken) -> dict[str, Any]:
    """A SeparableConv2D."""
    kind = "SeparableConv2D"
    if hasattr(layer, "depth_multiplier") and getattr(layer, "filters", None) is None:
        msg = (
            "layer must be a Keras SeparableConv2D, got a depthwise one; give the Conv2D of 1 x 1 "
            "behind it as pointwise_layer"
        )
        raise TypeError(msg)
    arguments = _conv(kind, ("depth_multiplier", "filters"), layer, taken)
    require(kind, layer, ("depthwise_kernel", "pointwise_kernel"))
    first, second = layer.depthwise_kernel, layer.pointwise_kernel
    kernels = (_kernel(kind, first), _kernel(kind, second))
    place = _place(layer, kernels[0], taken.padding)
    names = ("depthwise_kernel", "pointwise_kernel")
    return dict(zip(names, kernels, strict=True)) | place | arguments


def separable_of_two(
    layer: Any, pointwise_layer: Any, first_taken: Taken, taken: Taken
) -> dict[str, Any]:
    """A DepthwiseConv2D and a Conv2D of 1 x 1."""
    first, second = depthwise(layer, first_taken), pointwise(pointwise_layer, taken)
    if tuple(second.pop("strides")) != (1, 1):
        msg = f"pointwise_layer must have strides (1, 1), but has {pointwise_layer.strides}"
        raise ValueError(msg)
    _check_formats(first, second)
    epilogue = {f"depthwise_{name}": first.pop(name) for name in ("bias", "activation")}
    return first | epilogue | second


def depthwise(layer: Any, taken: Taken) -> dict[str, Any]:
    """A DepthwiseConv2D, or a Conv2D with groups = channels."""
    kind = "DepthwiseConv2D"
    if not hasattr(layer, "depth_multiplier") and hasattr(layer, "groups"):
        arguments, kernel = _conv("Conv2D", ("filters", "kernel"), layer, taken), layer.kernel
        taps = _kernel("Conv2D", kernel)
        if taps.shape[2] != 1:
            msg = (
                "the Conv2D must have as many groups as channels, but has "
                f"{layer.groups} and {layer.groups * taps.shape[2]}"
            )
            raise ValueError(msg)
        taps = taps.reshape(*taps.shape[:2], layer.groups, -1)
    else:
        arguments = _conv(kind, ("depth_multiplier",), layer, taken)
        if hasattr(layer, "pointwise_kernel"):
            msg = "layer must be a Keras DepthwiseConv2D, got a separable one"
            raise TypeError(msg)
        name = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"  # Keras 2, 3
        require(kind, layer, (name,))
        taps = _kernel(kind, getattr(layer, name))
    return {"depthwise_kernel": taps} | _place(layer, taps, taken.padding) | arguments


def pointwise(layer: Any, taken: Taken) -> dict[str, Any]:
    """A Conv2D of 1 x 1."""
    arguments = _conv("Conv2D", ("filters", "groups", "kernel"), layer, taken)
    if layer.groups != 1:
        msg = f"the Conv2D must have groups 1, but has {layer.groups}"
        raise ValueError(msg)
    kernel = _kernel("Conv2D", layer.kernel)
    # A 1 x 1 kernel is never padded or dilated; another size is refused with the kernel.
    strides = _place(layer, kernel, "valid")["strides"]
    return {"pointwise_kernel": kernel, "strides": strides} | arguments


def dense(layer: Any, taken: Taken) -> dict[str, Any]:
    """A Conv2D."""
    arguments = _conv("Conv2D", ("filters", "groups", "kernel"), layer, taken)
    kernel = _kernel("Conv2D", layer.kernel)
    place = _place(layer, kernel, taken.padding)
    return {"kernel": kernel, "groups": layer.groups} | place | arguments


def rows(layer: Any, taken: Taken) -> dict[str, Any]:
    """A Dense."""
    require("Dense", layer, ("units", "kernel", "bias", "use_bias", "activation"))
    _trust.check_keras_dense(layer)
    _check_built("Dense", layer)
    return {
        "kernel": weight("the Dense", _CURE, layer.kernel),
        **_bias_and_activation("Dense", layer, taken, "channels_last"),
    }


def gate(squeeze_layer: Any, excite_layer: Any) -> dict[str, Any]:
    """Two Conv2D of 1 x 1."""
    parts = [pointwise(layer, Taken()) for layer in (squeeze_layer, excite_layer)]
    _check_formats(*parts)
    first, second = map(_without_strides, parts)
    return {
        "squeeze_kernel": first.pop("pointwise_kernel"),
        "excite_kernel": second.pop("pointwise_kernel"),
        **{f"squeeze_{name}": first.pop(name) for name in ("bias", "activation")},
        **first,
        **second,
    }


def inverted(
    expand: dict[str, Any], middle: dict[str, Any], last: dict[str, Any]
) -> dict[str, Any]:
    """Arguments of a 1 x 1, a depthwise and a 1 x 1 convolution."""
    _check_formats(expand, middle, last)
    expand, last = _without_strides(expand), _without_strides(last)
    parts = {"expand_kernel": expand["pointwise_kernel"]}
    for prefix, part in (("expand_", expand), ("depthwise_", middle)):
        parts |= {f"{prefix}{name}": part[name] for name in ("bias", "activation")}
    return middle | parts | last


def _check_formats(*parts: dict[str, Any]) -> None:
    formats = [part["data_format"] for part in parts]
    if len(set(formats)) > 1:
        msg = f"the layers must have one data_format, but have {', '.join(map(repr, formats))}"
        raise ValueError(msg)


def _without_strides(arguments: dict[str, Any]) -> dict[str, Any]:
    if tuple(arguments["strides"]) != (1, 1):
        msg = f"a 1 x 1 layer here must have strides (1, 1), but has {arguments['strides']}"
        raise ValueError(msg)
    return {name: value for name, value in arguments.items() if name != "strides"}


def batch_norm(layer: Any) -> tuple[Any, ...]:
    """gamma, beta, mean, variance and epsilon."""
    require("BatchNormalization", layer, _BATCH_NORM)
    _trust.check_keras_batch_norm(layer)
    if layer.moving_mean is None or not getattr(layer, "built", True):
        msg = "the BatchNormalization has no weights yet; build it first"
        raise ValueError(msg)
    if np.size(layer.axis) != 1:
        msg = f"BatchNormalization must be over the channels alone, but has axis {layer.axis}"
        raise ValueError(msg)
    vectors = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    arrays = (optional("the BatchNormalization", _CURE, v, FLOATS) for v in vectors)
    return (*arrays, float(layer.epsilon))


def activation(name: str, value: Any, data_format: str) -> ActivationInput:
    """What an activation is here, that may be a layer or a function of Keras."""
    if not callable(value):
        return value  # type: ignore[no-any-return]  # the constructor judges it
    if _trust.is_keras_prelu(name, value):
        slopes = weight(f"{name} PReLU", _CURE, value.alpha)
        axis = 0 if data_format in ("channels_first", "NCHW") else slopes.ndim - 1
        if slopes.size != slopes.shape[axis]:
            msg = (
                f"{name} PReLU must have one slope a channel, but has {slopes.shape}; build it "
                "with shared_axes of rows and columns"
            )
            raise ValueError(msg)
        return "prelu", slopes.ravel()
    return _trust.activation(name, value, lambda x: numpy(value(x)))


def _conv(kind: str, marks: tuple[str, ...], layer: Any, taken: Taken) -> dict[str, Any]:
    """What the convolutions have in common, but for kernel and place."""
    require(kind, layer, (*_CONV, *marks))
    _trust.check_keras_conv(kind, layer)
    _check_built(kind, layer)
    _check_axis(layer, taken.batch_norm)
    common = _bias_and_activation(kind, layer, taken, layer.data_format)
    return {"data_format": layer.data_format} | common


def _check_built(kind: str, layer: Any) -> None:
    if not getattr(layer, "built", True):
        msg = f"the {kind} has no weights yet; build it first"
        raise ValueError(msg)


def _bias_and_activation(kind: str, layer: Any, taken: Taken, data_format: str) -> dict[str, Any]:
    following = activation("activation", taken.activation, data_format)
    own = None
    if layer.activation is not None and taken.own_activation:
        own = activation(_trust.OWN, layer.activation, data_format)
    if own is not None and (taken.batch_norm is not None or following not in (None, "linear")):
        msg = (
            f"the layer has an activation of its own, {own!r}: nothing can follow it; "
            "own_activation=False leaves it out"
        )
        raise ValueError(msg)
    return {
        "bias": weight(f"the {kind}", _CURE, layer.bias) if layer.use_bias else None,
        "activation": following if own is None else own,
    }


def _kernel(kind: str, variable: Any) -> AnyArray:
    """A kernel of four axes; of a layer of one axis it has three."""
    kernel = weight(f"the {kind}", _CURE, variable)
    return kernel[None] if kernel.ndim == 3 else kernel


def _place(layer: Any, kernel: AnyArray, padding: PaddingInput | None) -> dict[str, Any]:
    """Strides, padding and dilation over rows and columns."""
    strides, dilation = layer.strides, layer.dilation_rate
    around = layer.padding if padding is None else padding
    if np.size(strides) == 1:
        strides, dilation = (1, *strides), (1, *dilation)
        if around == "causal":
            around = ((0, 0), ((kernel.shape[1] - 1) * dilation[1], 0))
    return {"strides": strides, "padding": around, "dilation_rate": dilation}


def _check_axis(layer: Any, batch_norm: object) -> None:
    """Refuse a BatchNormalization over another axis than the layer's channels."""
    axis = getattr(batch_norm, "axis", None)
    if axis is None or np.size(axis) != 1:
        return
    last = np.size(layer.strides) + 1
    channel_axis = 1 if layer.data_format == "channels_first" else last
    if int(np.ravel(axis)[0]) % (last + 1) != channel_axis:
        msg = (
            f"the BatchNormalization has axis {axis}, but the channels of a layer with "
            f"data_format {layer.data_format!r} are axis {channel_axis}"
        )
        raise ValueError(msg)
