"""A network as each engine reads it: from the file itself, and from others of its stem beside it.

Each reading is a candidate, of which the fastest that computes the same is measured. What an engine
reads is compared with the outputs of the network's float64 twins: another file is no other network.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from fastdw.importers._files import open_network
from fastdw.network._graph import TensorSpec, quantizations
from fastdw.network._graph import run as run_twins
from fastdw.network._network import Network

from . import peers
from .blocks import F32, TOLERANCE
from .peers.base import Model, Session, Unsupported
from .peers.onnxruntime import channels_last, planar

# Engines round integers in several ways, and what one layer rounds otherwise grows in the next.
_MOST_STEPS = 32
_STEPS = 255
# Deep networks magnify rounding: with random weights every engine's EfficientNetB0 is 1e-4 to 4e-4
# from the answer in float64. What computes something else is off by a tenth and more.
_OTHERS_TOLERANCE = 1e-3
# What every layer rounds to float16 comes together.
_FLOAT16_TOLERANCE = 0.05

Array = npt.NDArray[Any]
Build = Callable[[], Session]


class Differs(ArithmeticError):  # noqa: N818  (a finding about an engine)
    """An engine computes something else."""


class Case(NamedTuple):
    """A network, the file that it came from, and images for it."""

    network: Network
    model: Model

    @property
    def in_steps(self) -> bool:
        """Whether deviations are counted in steps of the outputs' integers."""
        return all(spec.dtype != "float32" for spec in self.network.outputs)


def names() -> list[str]:
    """The engines that read files."""
    return [name for name in peers.NAMES if peers.load(name).READS]


def own(case: Case, threads: int) -> Session:
    """The session of fastdw itself."""
    images = list(case.model.inputs.values())
    found = case.network(*images)
    outputs = list(found) if isinstance(found, tuple) else [found]
    run = functools.partial(case.network, *images, out=outputs, num_threads=threads)
    sums = case.network.accumulate
    variant = "" if sums == "float32" else f"{case.model.path.name}, {sums}"
    return Session(run, lambda: outputs, variant=variant)


def candidates(name: str, case: Case, threads: int) -> list[Build]:
    """What builds the sessions of another engine, one for each file that it reads.

    Raises
    ------
    Unsupported
        Where there is no such file, or the engine is not installed.
    """
    if packages := peers.missing(name):
        msg = f"not installed: pip install {' '.join(packages)}"
        raise Unsupported(msg)
    engine, path = peers.load(name), case.model.path
    suffixes = [s for s in engine.READS if s != path.suffix.lower()]
    others = [other for s in suffixes if (other := path.with_suffix(s)).exists()]
    found: list[Build] = [functools.partial(_beside, engine, case, o, threads) for o in others]
    if path.suffix.lower() in engine.READS:
        found.insert(0, functools.partial(engine.read, case.model, threads))
    if not found:
        wanted = " or ".join(engine.READS)
        msg = f"it reads no {path.suffix}" + f", and no {wanted} of that name is there" * bool(
            wanted
        )
        raise Unsupported(msg)
    return found


def reference(case: Case) -> list[Array]:
    """The outputs by the twins, in float64."""
    images = [x[0] for x in case.model.inputs.values()]
    return [y[None] for y in run_twins(case.network._graph, images)]


def deviation(outputs: list[F32], wanted: list[Array], case: Case, is_own: bool) -> float:
    """The largest deviation: in steps, or relative to the largest value of each output.

    Raises
    ------
    Differs
        Where it is no longer the same network.
    """
    shapes = [y.shape for y in outputs]
    if shapes != [y.shape for y in wanted]:
        msg = f"its outputs are of shapes {shapes}"
        raise Differs(msg)
    errors = []
    for y, expected in zip(outputs, wanted, strict=True):
        most = np.abs(expected).max() or 1.0
        if expected.dtype.kind in "iu":
            most = 1 if case.in_steps else _STEPS
        errors.append(np.abs(np.subtract(y, expected, dtype=np.float64)).max() / most)
    error = float(np.max(errors))
    if not error <= _bound(case, is_own):
        steps = f"{error:.0f} of {_STEPS} steps"
        size = steps if case.in_steps else f"{error:.1e} of its largest value"
        msg = f"differs from the reference by {size}"
        raise Differs(msg)
    return error


def _bound(case: Case, is_own: bool) -> float:
    """The largest deviation that counts as the same network, in the row's unit."""
    graph, unit = case.network._graph, 1 if case.in_steps else _STEPS
    if not quantizations(graph):
        if not is_own:
            return _OTHERS_TOLERANCE
        return TOLERANCE if case.network.accumulate == "float32" else _FLOAT16_TOLERANCE
    if is_own and not graph.notes:
        return TOLERANCE  # Less than a step.
    return _MOST_STEPS / unit


def _beside(engine: Any, case: Case, path: Path, threads: int) -> Session:
    """The session of another file of the network, whose images may be NCHW where ours are NHWC."""
    network = _opened(path)
    if bool(quantizations(network._graph)) != bool(quantizations(case.network._graph)):
        msg = f"{path.name} beside it is of other numbers"
        raise Unsupported(msg)
    images = list(case.model.inputs.values())
    ours = [_shape(spec) for spec in case.network.outputs]
    if len(network.inputs) != len(images) or len(network.outputs) != len(ours):
        msg = f"{path.name} beside it has other inputs or outputs"
        raise Unsupported(msg)
    inputs = {
        spec.name: _laid_out(x, _shape(spec)).astype(spec.dtype, copy=False)
        for spec, x in zip(network.inputs, images, strict=True)
    }
    outputs = tuple(spec.name for spec in network.outputs)
    session: Session = engine.read(Model(path, inputs, outputs), threads)

    def as_ours() -> list[F32]:
        return [_laid_out(y, shape) for y, shape in zip(session.outputs(), ours, strict=False)]

    return replace(session, outputs=as_ours, variant=path.name)


@functools.lru_cache(maxsize=1)
def _opened(path: Path) -> Network:
    return open_network(path)


def _shape(spec: TensorSpec) -> tuple[int, ...]:
    return (1, *(int(size or 0) for size in spec.shape[1:]))


def _laid_out(x: Array, shape: Sequence[int]) -> Array:
    """The array in the order of axes that has the shape; as it is, where none has."""
    orders: list[Callable[[Array], Array]] = [planar, channels_last] if x.ndim == 4 else []
    for order in orders:
        if x.shape != shape and (turned := order(x)).shape == shape:
            return np.ascontiguousarray(turned)
    return x
