"""Whether a layer of another library computes what its class says, and what its activation is.

No framework is imported: classes are known by their modules and names. An object without a
`forward` or `call` computes nothing that could differ; its attributes are taken as they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdw import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastdw._typing import ActivationInput, AnyArray


class Kind(NamedTuple):
    """A class of a framework, and the methods that make up what its layers compute."""

    name: str
    modules: tuple[str, ...]
    methods: tuple[str, ...]

    def base(self, cls: type) -> type | None:
        """The first class of this kind among `cls` and its bases."""
        return next(
            (
                c
                for c in cls.__mro__
                if c.__name__ == self.name and c.__module__.startswith(self.modules)
            ),
            None,
        )


_TORCH_CALL = ("__call__", "_call_impl", "forward")
_TORCH_CONVS = tuple(
    Kind(name, ("torch.nn.modules.conv",), (*_TORCH_CALL, "_conv_forward"))
    for name in ("Conv2d", "Conv1d")
)
_TORCH_PRELU = Kind("PReLU", ("torch.nn.modules.activation",), _TORCH_CALL)
_TORCH_BATCH_NORMS = (
    # The same in evaluation mode, by a `forward` of its own.
    Kind("SyncBatchNorm", ("torch.nn.modules.batchnorm",), _TORCH_CALL),
    Kind("FrozenBatchNorm2d", ("torchvision.ops.",), _TORCH_CALL),
    Kind("_BatchNorm", ("torch.nn.modules.batchnorm",), _TORCH_CALL),
)

# Of torch.jit.script, torch.compile and DataParallel.
_WRAPPERS = ("torch.jit.", "torch._dynamo.", "torch.nn.parallel.")

_KERAS = ("keras.", "tf_keras.", "tensorflow.python.keras.")


def _keras(name: str, *methods: str) -> Kind:
    return Kind(name, _KERAS, ("__call__", "call", *methods))


def check_torch_conv(name: str, module: object) -> None:
    _check(f"{name} must be a torch Conv2d", module, "forward", _TORCH_CONVS)
    _check_hooks(name, module)


def check_torch_linear(module: object) -> None:
    kind = Kind("Linear", ("torch.nn.modules.linear",), _TORCH_CALL)
    _check("module must be a torch Linear", module, "forward", (kind,))
    _check_hooks("module", module)


def check_torchvision_gate(module: object) -> None:
    kind = Kind("SqueezeExcitation", ("torchvision.ops.misc",), (*_TORCH_CALL, "_scale"))
    _check("module must be a torchvision SqueezeExcitation", module, "forward", (kind,))
    _check_hooks("module", module)


def check_torch_batch_norm(module: object) -> None:
    _check("the module must be a torch BatchNorm2d", module, "forward", _TORCH_BATCH_NORMS)
    _check_hooks("the BatchNorm2d", module)


def check_keras_conv(name: str, layer: object) -> None:
    # The documentation of Keras invites subclasses to override convolution_op.
    methods = ("convolution_op", "_jit_compiled_convolution_op", "_compute_causal_padding")
    kinds = tuple(_keras(kind, *methods) for kind in (name, name.replace("2D", "1D")))
    _check(f"the layer must be a Keras {name}", layer, "call", kinds)


def check_keras_dense(layer: object) -> None:
    _check("the layer must be a Keras Dense", layer, "call", (_keras("Dense"),))


def check_keras_batch_norm(layer: object) -> None:
    kind = _keras("BatchNormalization")
    _check("the layer must be a Keras BatchNormalization", layer, "call", (kind,))


def is_keras_prelu(name: str, function: object) -> bool:
    """Whether it is a PReLU; one that computes something else is refused."""
    kind = _keras("PReLU")
    if kind.base(type(function)) is None:
        return False
    if not getattr(function, "built", True):
        msg = f"{name} PReLU has no weights yet; build it first"
        raise ValueError(msg)
    _check(f"{name} must be a Keras PReLU", function, "call", (kind,))
    return True


def is_torch_prelu(name: str, function: object) -> bool:
    """Whether it is a PReLU; one that computes something else is refused."""
    if _TORCH_PRELU.base(type(function)) is None:
        return False
    _check(f"{name} must be a torch PReLU", function, "forward", (_TORCH_PRELU,))
    _check_hooks(name, function)
    return True


def _check(rule: str, thing: object, entry: str, kinds: tuple[Kind, ...]) -> None:
    """Refuse what computes anything else than the class that it is, or comes from."""
    cls = type(thing)
    # Not by hasattr: modules of TorchScript have a `forward`, but their class shows none.
    if not any(entry in vars(base) for base in cls.__mro__):
        return
    kind, base = next(((k, b) for k in kinds if (b := k.base(cls))), (None, None))
    if kind is None or base is None:
        msg = f"{rule}, got {cls.__module__}.{cls.__qualname__}"
        if cls.__module__.startswith(_WRAPPERS):
            msg += "; convert the module that it was made from"
        raise TypeError(msg)
    for name in kind.methods:
        own = getattr(cls, name, None) is not getattr(base, name, None)
        if own or name in getattr(thing, "__dict__", {}):
            msg = (
                f"{rule}, but {cls.__qualname__} has a {name} of its own, which may pad, scale or "
                "activate; pass the weights and all that it does as arguments of the layer"
            )
            raise ValueError(msg)


def _check_hooks(name: str, module: object) -> None:
    """Hooks may change input, weights and result: of weight_norm, spectral_norm and prune, old."""
    if getattr(module, "has_uninitialized_params", lambda: False)():  # lazy modules, by a hook
        msg = f"{name} has no weights yet; call it once first"
        raise ValueError(msg)
    hooks = [
        hook
        for attribute in ("_forward_pre_hooks", "_forward_hooks")
        for hook in getattr(module, attribute, {}).values()
    ]
    if hooks:
        names = ", ".join(getattr(hook, "__qualname__", type(hook).__qualname__) for hook in hooks)
        msg = (
            f"{name} has hooks that may change what it computes ({names}); remove them first "
            "(torch.nn.utils.remove_weight_norm, remove_spectral_norm, prune.remove, or the "
            "handle's remove())"
        )
        raise ValueError(msg)


# Where the activations known here differ from each other and from their likes: close to 0, around
# the bends and along the curves, and far out.
_SIZES = (0.001, 0.003, 0.01, 0.03, *np.arange(0.125, 8.125, 0.125).tolist(), 20, 100, 1e4, 1e6)
_POINTS = np.array([*(-size for size in _SIZES), 0, *_SIZES])
_NAMES = (
    *("linear", "relu", "relu6", "sigmoid", "tanh", "swish", "hard_sigmoid", "hard_swish"),
    *("gelu", "gelu_tanh", "softplus", "mish"),
)


OWN = "the layer's activation"
_ADVICE = {
    OWN: "leave it out with own_activation=False, and give what follows as activation",
}


def activation(
    name: str, function: Any, values_of: Callable[[AnyArray], AnyArray]
) -> ActivationInput:
    """The activation that a function computes, by its values; its name proves nothing.

    `name` is what the user calls it.

    Raises
    ------
    ValueError
        For a function that is none of those known, or does not take an array.
    """
    title = f"{name} {getattr(function, '__name__', None) or type(function).__name__}"
    advice = _ADVICE.get(name, "apply it to the result")
    if not getattr(function, "built", True):  # a layer that this call would build, for these points
        msg = f"{title} has no weights yet; build it first"
        raise ValueError(msg)
    # As channels, so that a function over these, such as softmax, is not taken for one of a value.
    x = _POINTS.astype(np.float32).reshape(1, 1, 1, -1)
    try:
        values = values_of(x).astype(np.float64)
    except Exception as error:  # whatever a framework raises
        msg = f"{title} cannot be evaluated: {error}; {advice}"
        raise ValueError(msg) from error
    if values.shape == x.shape:
        y = values.ravel()
        for candidate in _candidates(y):
            wanted = reference.activate(_POINTS, candidate)
            if np.all(np.abs(y - wanted) <= 1e-5 * (1 + np.abs(_POINTS))):
                return None if candidate == "linear" else candidate
    msg = f"{title} is none that is known here, by its values; {advice}"
    raise ValueError(msg)


def _candidates(y: AnyArray) -> list[ActivationInput]:
    """The names, then the families with the parameters that `y` at the ends would have."""
    by_point = dict(zip(_POINTS.tolist(), y.tolist(), strict=True))
    if not np.isfinite(y).all():
        return []
    families: list[ActivationInput] = [
        ("leaky_relu", -by_point[-1.0]),
        ("elu", -by_point[-100.0]),
    ]
    lo, hi = (y if (y := by_point[end]) != end else end * math.inf for end in (-1e6, 1e6))
    if lo < hi:
        families.append(("clip", lo, hi))
    return [*_NAMES, *families]
