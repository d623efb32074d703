"""What a layer is before its weights are packed: checked arguments, cheap to make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from fastdw import _arguments as check
from fastdw import _core
from fastdw._activations import Activation, parse_activation
from fastdw._arguments import dense, describe
from fastdw._batch_norm import BatchNorm
from fastdw._geometry import Signature

if TYPE_CHECKING:
    from fastdw._typing import AnyArray, Float32

Part: TypeAlias = _core.Depthwise | _core.Pointwise | _core.Depthwise16 | _core.Pointwise16
Epilogue: TypeAlias = tuple[object, object, object]
"""bias, batch_norm and activation as the user gives them."""


class Half(NamedTuple):
    """Checked arguments of one convolution and its epilogue."""

    kernel_name: str
    prefix: str
    """What the names of the epilogue's arguments begin with."""
    kernel: Float32
    bias: Float32 | None
    batch_norm: BatchNorm | None
    activation: Activation
    dtype: str = "float32"
    """To which kernels are rounded, BatchNorm folded in; biases are float32."""

    @property
    def num_parameters(self) -> int:
        return self.kernel.size + (0 if self.bias is None else self.bias.size)

    def packable(self) -> tuple[Float32, Float32 | None, _core.Activation]:
        """Kernel and bias with BatchNorm folded in, and the activation, as the core takes them."""
        kernel, bias = self.kernel, self.bias
        if self.batch_norm is not None:
            kernel, bias = self.batch_norm.fold(kernel, bias)
        if self.dtype == "float16":
            kernel = check.halved(self.kernel_name, kernel)
        return dense(kernel), None if bias is None else dense(bias), self.activation.core

    def arrays(self) -> Iterator[tuple[str, AnyArray | None]]:
        """All that the user gave, each by the name of its argument."""
        yield self.kernel_name, self.kernel
        yield f"{self.prefix}bias", self.bias
        if self.batch_norm is not None:
            for vector in self.batch_norm.vectors:
                yield f"{self.prefix}batch_norm", vector
        yield f"{self.prefix}activation", self.activation.slopes


def checked_half(
    kernel_name: str,
    prefix: str,
    kernel: Float32,
    channels: int,
    epilogue: Epilogue,
    dtype: str = "float32",
) -> Half:
    """Check an epilogue on `channels`."""
    bias, batch_norm, activation = epilogue
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
        kernel_name,
        prefix,
        kernel,
        None if bias is None else check.vector(f"{prefix}bias", bias, channels),
        batch_norm,
        parse_activation(f"{prefix}activation", activation, channels),
        dtype,
    )


class Packed(NamedTuple):
    """Weights for one instruction set."""

    parts: tuple[Part, ...]
    """One for each half."""
    operator: _core.Operator


class Spec(NamedTuple):
    """Checked arguments of a layer; each kind of layer packs them in its own way."""

    signature: Signature
    halves: tuple[Half, ...]
    pre_activation: Activation | None  # None for a layer that takes none
    isa: str | None  # None is the active one

    def pack(self) -> Packed:
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """The arguments that are no weights, by name, as the user may pass them again."""
        signature = self.signature
        settings = {} if signature.window is None else signature.window.arguments
        settings["data_format"] = signature.data_format
        if signature.dtype != "float32":  # nor do pickles of before name it
            settings["dtype"] = signature.dtype
        if self.pre_activation is not None:
            settings["pre_activation"] = self.pre_activation.argument
        for half in self.halves:
            settings[f"{half.prefix}activation"] = half.activation.argument
        return settings

    def arrays(self) -> Iterator[tuple[str, AnyArray | None]]:
        """All that the user gave, each by the name of its argument."""
        if self.pre_activation is not None:
            yield "pre_activation", self.pre_activation.slopes
        for half in self.halves:
            yield from half.arrays()
