"""Modules of PyTorch. Those of one axis become ones of two, of height 1."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdw.converters import _trust
from fastdw.converters._read import FLOATS, numpy, optional, require, weight

if TYPE_CHECKING:
    from fastdw._typing import ActivationInput, AnyArray, PaddingInput

_CONV = ("weight", "bias", "stride", "padding", "dilation", "groups", "padding_mode")
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "eps")
_CURE = "convert it with module.float()"


def depthwise(module: Any, padding: PaddingInput | None) -> dict[str, Any]:
    """A Conv2d with groups = in_channels."""
    kernel = _conv("depthwise_module", module, padding)
    count, inputs, *size = kernel.shape
    if inputs != 1:
        msg = (
            "depthwise_module must have groups equal to in_channels, but has groups "
            f"{module.groups} and in_channels {module.groups * inputs}"
        )
        raise ValueError(msg)
    taps = kernel.reshape(module.groups, count // module.groups, *size)
    return {
        "depthwise_kernel": taps.transpose(2, 3, 0, 1),
        "bias": optional("depthwise_module", _CURE, module.bias),
    } | _place(module, padding)


def pointwise(module: Any) -> dict[str, Any]:
    """A Conv2d of 1 x 1."""
    kernel = _conv("pointwise_module", module)
    size = kernel.shape[2:]
    padded = module.padding not in ("valid", "same", 0, (0,), (0, 0))
    if size != (1, 1) or module.groups != 1 or padded:
        msg = (
            "pointwise_module must have kernel_size (1, 1), padding 0 and groups 1, "
            f"but has {size}, {module.padding} and {module.groups}"
        )
        raise ValueError(msg)
    bias = optional("pointwise_module", _CURE, module.bias)
    strides = _place(module, None)["strides"]
    return {"pointwise_kernel": kernel[:, :, 0, 0].T, "bias": bias, "strides": strides}


def separable(
    depthwise_module: Any, pointwise_module: Any, padding: PaddingInput | None
) -> dict[str, Any]:
    """One of each."""
    first, second = depthwise(depthwise_module, padding), pointwise(pointwise_module)
    if tuple(second.pop("strides")) != (1, 1):
        msg = f"pointwise_module must have stride (1, 1), but has {pointwise_module.stride}"
        raise ValueError(msg)
    return {"depthwise_bias": first.pop("bias")} | first | second


def dense(module: Any, padding: PaddingInput | None) -> dict[str, Any]:
    """A Conv2d."""
    return {
        "kernel": _conv("module", module, padding).transpose(2, 3, 1, 0),
        "groups": module.groups,
        "bias": optional("module", _CURE, module.bias),
    } | _place(module, padding)


def rows(module: Any) -> dict[str, Any]:
    """A Linear."""
    require("torch Linear", module, ("weight", "bias", "in_features", "out_features"))
    _trust.check_torch_linear(module)
    kernel = weight("module", _CURE, module.weight)
    return {"kernel": kernel.T, "bias": optional("module", _CURE, module.bias)}


def gate(module: Any) -> dict[str, Any]:
    """torchvision's SqueezeExcitation."""
    names = ("fc1", "fc2", "activation", "scale_activation")
    require("torchvision SqueezeExcitation", module, names)
    _trust.check_torchvision_gate(module)
    first, second = _without_strides(pointwise(module.fc1)), _without_strides(pointwise(module.fc2))
    return {
        "squeeze_kernel": first["pointwise_kernel"],
        "excite_kernel": second["pointwise_kernel"],
        "squeeze_bias": first["bias"],
        "bias": second["bias"],
        "squeeze_activation": activation("activation", module.activation),
        "activation": activation("scale_activation", module.scale_activation),
    }


def inverted(
    expand: dict[str, Any], middle: dict[str, Any], last: dict[str, Any]
) -> dict[str, Any]:
    """Arguments of a 1 x 1, a depthwise and a 1 x 1 convolution."""
    expand, last = _without_strides(expand), _without_strides(last)
    parts = {"expand_kernel": expand["pointwise_kernel"], "expand_bias": expand["bias"]}
    return middle | parts | {"depthwise_bias": middle["bias"]} | last


def _without_strides(arguments: dict[str, Any]) -> dict[str, Any]:
    if np.any(np.asarray(arguments["strides"]) != 1):
        msg = f"a 1 x 1 module here must have stride (1, 1), but has {arguments['strides']}"
        raise ValueError(msg)
    return {name: value for name, value in arguments.items() if name != "strides"}


def batch_norm(module: Any) -> tuple[Any, ...]:
    """gamma, beta, mean, variance and epsilon."""
    require("torch BatchNorm2d", module, _BATCH_NORM)
    _trust.check_torch_batch_norm(module)
    if module.running_mean is None or module.running_var is None:
        msg = "the BatchNorm2d has no running statistics (track_running_stats=False)"
        raise ValueError(msg)
    vectors = (module.weight, module.bias, module.running_mean, module.running_var)
    arrays = (optional("the BatchNorm2d", _CURE, v, FLOATS) for v in vectors)
    return (*arrays, float(module.eps))


def activation(name: str, value: Any) -> ActivationInput:
    """What an activation is here, that may be a module or a function of PyTorch."""
    if not callable(value):
        return value  # type: ignore[no-any-return]  # the constructor judges it
    if _trust.is_torch_prelu(name, value):
        slopes = weight(f"{name} PReLU", _CURE, value.weight)
        return ("prelu", slopes) if slopes.size > 1 else ("leaky_relu", float(slopes[0]))
    torch = sys.modules.get("torch")  # whoever has a module has imported it
    points = (lambda x: x) if torch is None else torch.from_numpy
    return _trust.activation(name, value, lambda x: numpy(value(points(x))))


def _conv(name: str, module: Any, padding: PaddingInput | None = None) -> AnyArray:
    """The weight (out_channels, in_channels // groups, kh, kw); of a Conv1d, kh is 1."""
    require("torch Conv2d", module, _CONV)
    if getattr(module, "transposed", False):
        msg = f"{name} must be a torch Conv2d, got a transposed convolution"
        raise TypeError(msg)
    _trust.check_torch_conv(name, module)
    kernel = weight(name, _CURE, module.weight)
    if kernel.ndim == 3:
        kernel = kernel[:, :, None]
    if kernel.ndim != 4:
        msg = f"{name} must be a torch Conv2d, got a weight of shape {kernel.shape}"
        raise TypeError(msg)
    if padding is None and module.padding_mode != "zeros":
        msg = (
            f"{name} must have padding_mode 'zeros', but has {module.padding_mode!r}; pass "
            "padding=0, and x through np.pad"
        )
        raise ValueError(msg)
    return kernel


def _place(module: Any, padding: PaddingInput | None) -> dict[str, Any]:
    """Strides, padding and dilation over rows and columns."""
    strides, dilation = module.stride, module.dilation
    around = module.padding
    if isinstance(strides, tuple) and len(strides) == 1:
        strides, dilation = (1, *strides), (1, *dilation)
        around = around if isinstance(around, str) else (0, *around)
    return {
        "strides": strides,
        "padding": around if padding is None else padding,
        "dilation_rate": dilation,
    }
