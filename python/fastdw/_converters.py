"""Layers of Keras 2, Keras 3 and PyTorch as arguments of fastdw, read by their attributes.

No framework is imported. A layer that has no equal here is refused with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw import _trust

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, AnyArray

_KERAS_CONV = ("strides", "padding", "data_format", "dilation_rate", "activation", "use_bias")
_KERAS_BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance", "epsilon", "axis")
_TORCH_CONV = ("weight", "bias", "stride", "padding", "dilation", "groups", "padding_mode")
# Of BatchNorm; a convolution has float32 alone.
_FLOATS = ("float32", "float64")
_TORCH_CURE = "convert it with module.float()"
_KERAS_CURE = 'build the layer with dtype="float32"'
_TORCH_BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "eps")


def keras_separable(layer: Any, batch_norm: object, activation: ActivationInput) -> dict[str, Any]:
    arguments = _keras_conv(
        "SeparableConv2D", ("depth_multiplier", "filters"), layer, batch_norm, activation
    )
    _require("SeparableConv2D", layer, ("depthwise_kernel", "pointwise_kernel"))
    return {
        "depthwise_kernel": _keras_weight("SeparableConv2D", layer.depthwise_kernel),
        "pointwise_kernel": _keras_weight("SeparableConv2D", layer.pointwise_kernel),
        **arguments,
    }


def keras_depthwise(layer: Any, batch_norm: object, activation: ActivationInput) -> dict[str, Any]:
    arguments = _keras_conv("DepthwiseConv2D", ("depth_multiplier",), layer, batch_norm, activation)
    if hasattr(layer, "pointwise_kernel"):
        msg = "layer must be a Keras DepthwiseConv2D, got a separable one"
        raise TypeError(msg)
    name = "depthwise_kernel" if hasattr(layer, "depthwise_kernel") else "kernel"  # Keras 2, 3
    _require("DepthwiseConv2D", layer, (name,))
    kernel = _keras_weight("DepthwiseConv2D", getattr(layer, name))
    return {"depthwise_kernel": kernel, **arguments}


def keras_pointwise(layer: Any, batch_norm: object, activation: ActivationInput) -> dict[str, Any]:
    arguments = _keras_conv("Conv2D", ("filters", "groups"), layer, batch_norm, activation)
    _require("Conv2D", layer, ("kernel",))
    strides = arguments.pop("strides")
    if tuple(strides) != (1, 1):
        msg = f"a pointwise convolution has strides (1, 1), but the layer has {strides}"
        raise ValueError(msg)
    # A 1 x 1 kernel is never padded or dilated; another size is refused with the kernel.
    del arguments["padding"], arguments["dilation_rate"]
    return {"pointwise_kernel": _keras_weight("Conv2D", layer.kernel), **arguments}


def keras_dense(layer: Any, batch_norm: object, activation: ActivationInput) -> dict[str, Any]:
    arguments = _keras_conv(
        "Conv2D", ("filters", "groups"), layer, batch_norm, activation, any_groups=True
    )
    _require("Conv2D", layer, ("kernel",))
    return {"kernel": _keras_weight("Conv2D", layer.kernel), "groups": layer.groups, **arguments}


def keras_batch_norm(layer: Any) -> tuple[Any, ...]:
    """gamma, beta, mean, variance and epsilon."""
    _require("BatchNormalization", layer, _KERAS_BATCH_NORM)
    _trust.check_keras_batch_norm(layer)
    if layer.moving_mean is None or not getattr(layer, "built", True):
        msg = "the BatchNormalization has no weights yet; build it first"
        raise ValueError(msg)
    if np.size(layer.axis) != 1:
        msg = f"BatchNormalization must be over the channels alone, but has axis {layer.axis}"
        raise ValueError(msg)
    vectors = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    arrays = (_optional("the BatchNormalization", _KERAS_CURE, v, _FLOATS) for v in vectors)
    return (*arrays, float(layer.epsilon))


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
        "bias": _optional("depthwise_module", _TORCH_CURE, module.bias),
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
    bias = _optional("pointwise_module", _TORCH_CURE, module.bias)
    return {"pointwise_kernel": weight[:, :, 0, 0].T, "bias": bias}


def torch_dense(module: Any) -> dict[str, Any]:
    weight = _torch_conv("module", module)
    return {
        "kernel": weight.transpose(2, 3, 1, 0),
        "groups": module.groups,
        "bias": _optional("module", _TORCH_CURE, module.bias),
        "strides": module.stride,
        "padding": module.padding,
        "dilation_rate": module.dilation,
    }


def torch_batch_norm(module: Any) -> tuple[Any, ...]:
    """gamma, beta, mean, variance and epsilon."""
    _require("torch BatchNorm2d", module, _TORCH_BATCH_NORM)
    _trust.check_torch_batch_norm(module)
    if module.running_mean is None or module.running_var is None:
        msg = "the BatchNorm2d has no running statistics (track_running_stats=False)"
        raise ValueError(msg)
    vectors = (module.weight, module.bias, module.running_mean, module.running_var)
    arrays = (_optional("the BatchNorm2d", _TORCH_CURE, v, _FLOATS) for v in vectors)
    return (*arrays, float(module.eps))


def _keras_conv(
    kind: str,
    marks: tuple[str, ...],
    layer: Any,
    batch_norm: object,
    activation: ActivationInput,
    *,
    any_groups: bool = False,
) -> dict[str, Any]:
    """What the convolutions of Keras have in common."""
    _require(kind, layer, (*_KERAS_CONV, *marks))
    _trust.check_keras_conv(kind, layer)
    if not getattr(layer, "built", True):
        msg = f"the {kind} has no weights yet; build it first"
        raise ValueError(msg)
    if not any_groups and getattr(layer, "groups", 1) != 1:
        msg = f"the {kind} must have groups 1, but has {layer.groups}"
        raise ValueError(msg)
    own = None if layer.activation is None else _trust.activation(layer.activation, _numpy)
    _check_axis(layer, batch_norm)
    if own is not None and (batch_norm is not None or activation not in (None, "linear")):
        msg = f"the layer has an activation of its own, {own!r}: nothing can follow it"
        raise ValueError(msg)
    return {
        "strides": layer.strides,
        "padding": layer.padding,
        "data_format": layer.data_format,
        "dilation_rate": layer.dilation_rate,
        "bias": _keras_weight(kind, layer.bias) if layer.use_bias else None,
        "activation": activation if own is None else own,
    }


def _check_axis(layer: Any, batch_norm: object) -> None:
    """Refuse a Keras BatchNormalization over another axis than the layer's channels."""
    axis = getattr(batch_norm, "axis", None)
    if axis is None or np.size(axis) != 1:
        return
    channel_axis = 1 if layer.data_format == "channels_first" else 3
    if int(np.ravel(axis)[0]) % 4 != channel_axis:
        msg = (
            f"the BatchNormalization has axis {axis}, but the channels of a layer with "
            f"data_format {layer.data_format!r} are axis {channel_axis}"
        )
        raise ValueError(msg)


def _torch_conv(name: str, module: Any) -> AnyArray:
    """The weight (out_channels, in_channels // groups, kh, kw) of a Conv2d."""
    _require("torch Conv2d", module, _TORCH_CONV)
    if getattr(module, "transposed", False):
        msg = f"{name} must be a torch Conv2d, got a transposed convolution"
        raise TypeError(msg)
    _trust.check_torch_conv(name, module)
    weight = _weight(name, _TORCH_CURE, module.weight)
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


def _keras_weight(kind: str, variable: Any) -> AnyArray:
    return _weight(f"the {kind}", _KERAS_CURE, variable)


def _optional(
    owner: str, cure: str, value: Any, dtypes: tuple[str, ...] = ("float32",)
) -> AnyArray | None:
    return None if value is None else _weight(owner, cure, value, dtypes)


def _weight(owner: str, cure: str, value: Any, dtypes: tuple[str, ...] = ("float32",)) -> AnyArray:
    """A weight; of another dtype it is refused with what the owner of the layer can do."""
    dtype = str(getattr(value, "dtype", "float32")).rpartition(".")[2]
    if dtype not in dtypes:
        msg = f"{owner} must have weights of {' or '.join(dtypes)}, but has {dtype}; {cure}"
        raise TypeError(msg)
    return _numpy(value)


def _numpy(value: Any) -> AnyArray:
    """A variable, parameter or tensor, on whatever device, as an array."""
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
        return np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    except (RuntimeError, TypeError) as error:  # such as a tensor without data, or a sparse one
        msg = f"a weight of type {type(value).__name__} cannot be read: {error}"
        raise ValueError(msg) from error
