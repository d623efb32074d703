"""Layers of Keras 2, Keras 3 and PyTorch as arguments of fastdw, read by their attributes.

No framework is imported. A layer that has no equal here is refused with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, AnyArray

_KERAS_CONV = ("strides", "padding", "data_format", "dilation_rate", "activation", "use_bias")
_KERAS_BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance", "epsilon", "axis")
_TORCH_CONV = ("weight", "bias", "stride", "padding", "dilation", "groups", "padding_mode")
_TORCH_BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "eps")

_SAME_NAME = (
    "relu",
    "relu6",
    "sigmoid",
    "tanh",
    "silu",
    "swish",
    "hard_silu",
    "hard_swish",
    "gelu",
)
_KERAS_ACTIVATIONS: dict[str, ActivationInput] = {
    **{name: name for name in _SAME_NAME},
    "linear": None,
    # The defaults of Keras; another slope comes as an object without a name.
    "leaky_relu": ("leaky_relu", 0.2),
    "elu": ("elu", 1.0),
}


def keras_separable(layer: Any, batch_norm: object, activation: ActivationInput) -> dict[str, Any]:
    arguments = _keras_conv(
        "SeparableConv2D", ("depth_multiplier", "filters"), layer, batch_norm, activation
    )
    _require("SeparableConv2D", layer, ("depthwise_kernel", "pointwise_kernel"))
    return {
        "depthwise_kernel": _numpy(layer.depthwise_kernel),
        "pointwise_kernel": _numpy(layer.pointwise_kernel),
        **arguments,
    }


def keras_depthwise(layer: Any, batch_norm: object, activation: ActivationInput) -> dict[str, Any]:
    arguments = _keras_conv("DepthwiseConv2D", ("depth_multiplier",), layer, batch_norm, activation)
    if hasattr(layer, "pointwise_kernel"):
        msg = "layer must be a Keras DepthwiseConv2D, got a separable one"
        raise TypeError(msg)
    name = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"  # Keras 2, 3
    _require("DepthwiseConv2D", layer, (name,))
    return {"depthwise_kernel": _numpy(getattr(layer, name)), **arguments}


def keras_pointwise(layer: Any, batch_norm: object, activation: ActivationInput) -> dict[str, Any]:
    arguments = _keras_conv("Conv2D", ("filters", "groups"), layer, batch_norm, activation)
    _require("Conv2D", layer, ("kernel",))
    strides = arguments.pop("strides")
    if tuple(strides) != (1, 1):
        msg = f"a pointwise convolution has strides (1, 1), but the layer has {strides}"
        raise ValueError(msg)
    # A 1 x 1 kernel is never padded or dilated; another size is refused with the kernel.
    del arguments["padding"], arguments["dilation_rate"]
    return {"pointwise_kernel": _numpy(layer.kernel), **arguments}


def keras_batch_norm(layer: Any) -> tuple[Any, ...]:
    """gamma, beta, mean, variance and epsilon."""
    _require("BatchNormalization", layer, _KERAS_BATCH_NORM)
    if layer.moving_mean is None or not getattr(layer, "built", True):
        msg = "the BatchNormalization has no weights yet; build it first"
        raise ValueError(msg)
    if np.size(layer.axis) != 1:
        msg = f"BatchNormalization must be over the channels alone, but has axis {layer.axis}"
        raise ValueError(msg)
    vectors = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    return (*map(_optional, vectors), float(layer.epsilon))


def torch_depthwise(module: Any) -> dict[str, Any]:
    weight = _torch_conv("depthwise_module", module)
    count, inputs, *size = weight.shape
    if inputs != 1:
        msg = (
            "depthwise_module must have groups equal to in_channels, but has groups "
            f"{module.groups} and in_channels {module.groups * inputs}"
        )
        raise ValueError(msg)
    kernel = weight.reshape(module.groups, count // module.groups, *size)
    return {
        "depthwise_kernel": kernel.transpose(2, 3, 0, 1),
        "bias": _optional(module.bias),
        "strides": module.stride,
        "padding": module.padding,
        "dilation_rate": module.dilation,
    }


def torch_pointwise(module: Any) -> dict[str, Any]:
    weight = _torch_conv("pointwise_module", module)
    size = weight.shape[2:]
    padded = module.padding not in ("valid", "same", 0, (0, 0))
    if size != (1, 1) or module.groups != 1 or tuple(module.stride) != (1, 1) or padded:
        msg = (
            "pointwise_module must have kernel_size (1, 1), stride (1, 1), padding 0 and groups "
            f"1, but has {size}, {module.stride}, {module.padding} and {module.groups}"
        )
        raise ValueError(msg)
    return {"pointwise_kernel": weight[:, :, 0, 0].T, "bias": _optional(module.bias)}


def torch_batch_norm(module: Any) -> tuple[Any, ...]:
    """gamma, beta, mean, variance and epsilon."""
    _require("torch BatchNorm2d", module, _TORCH_BATCH_NORM)
    if module.running_mean is None or module.running_var is None:
        msg = "the BatchNorm2d has no running statistics (track_running_stats=False)"
        raise ValueError(msg)
    vectors = (module.weight, module.bias, module.running_mean, module.running_var)
    return (*map(_optional, vectors), float(module.eps))


def _keras_conv(
    kind: str,
    marks: tuple[str, ...],
    layer: Any,
    batch_norm: object,
    activation: ActivationInput,
) -> dict[str, Any]:
    """What the convolutions of Keras have in common."""
    _require(kind, layer, (*_KERAS_CONV, *marks))
    if not getattr(layer, "built", True):
        msg = f"the {kind} has no weights yet; build it first"
        raise ValueError(msg)
    if getattr(layer, "groups", 1) != 1:
        msg = f"the {kind} must have groups 1, but has {layer.groups}"
        raise ValueError(msg)
    own = _keras_activation(layer.activation)
    if own is not None and (batch_norm is not None or activation not in (None, "linear")):
        msg = f"the layer has an activation of its own, {own!r}: nothing can follow it"
        raise ValueError(msg)
    return {
        "strides": layer.strides,
        "padding": layer.padding,
        "data_format": layer.data_format,
        "dilation_rate": layer.dilation_rate,
        "bias": _numpy(layer.bias) if layer.use_bias else None,
        "activation": activation if own is None else own,
    }


def _keras_activation(function: Any) -> ActivationInput:
    if function is None:
        return None
    name = function if isinstance(function, str) else getattr(function, "__name__", None)
    if name == "hard_sigmoid" and _is_hard_sigmoid(function):
        return "hard_sigmoid"
    if name not in _KERAS_ACTIVATIONS:
        reason = "is 0.2x + 0.5 in Keras 2" if name == "hard_sigmoid" else "is unknown here"
        msg = f"the layer's activation {name or function!r} {reason} and cannot be expressed"
        raise ValueError(msg)
    return _KERAS_ACTIVATIONS[name]


def _is_hard_sigmoid(function: Any) -> bool:
    """Whether it is relu6(x + 3) / 6, as in Keras 3; the name alone does not tell."""
    try:
        value = float(_numpy(function(np.ones(1, np.float32)))[0])
    except Exception:  # whatever a framework raises, the function is not known to be ours
        return False
    return abs(value - 4 / 6) < 1e-3


def _torch_conv(name: str, module: Any) -> AnyArray:
    """The weight (out_channels, in_channels // groups, kh, kw) of a Conv2d."""
    _require("torch Conv2d", module, _TORCH_CONV)
    if getattr(module, "transposed", False):
        msg = f"{name} must be a torch Conv2d, got a transposed convolution"
        raise TypeError(msg)
    weight = _numpy(module.weight)
    if weight.ndim != 4:
        msg = f"{name} must be a torch Conv2d, got a weight of shape {weight.shape}"
        raise TypeError(msg)
    if module.padding_mode != "zeros":
        msg = f"{name} must have padding_mode 'zeros', but has {module.padding_mode!r}"
        raise ValueError(msg)
    return weight


def _require(kind: str, thing: object, attributes: tuple[str, ...]) -> None:
    for name in attributes:
        if not hasattr(thing, name):
            msg = f"expected a {kind}, got {type(thing).__name__}, which has no {name}"
            raise TypeError(msg)


def _optional(value: Any) -> AnyArray | None:
    return None if value is None else _numpy(value)


def _numpy(value: Any) -> AnyArray:
    """A variable, parameter or tensor, on whatever device, as an array."""
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
        return np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    except RuntimeError as error:  # such as a tensor without data
        msg = f"a weight of type {type(value).__name__} cannot be read: {error}"
        raise ValueError(msg) from error
