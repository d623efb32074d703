"""The engines that fastdw is compared with, one a file."""

from __future__ import annotations

from importlib import import_module, metadata
from types import ModuleType

NAMES = ("litert", "onnxruntime", "openvino", "ncnn", "mnn", "torch")


def select(choice: str) -> list[str]:
    """Return the names that "auto" (all that are installed), "none" or a list "a,b" stands for.

    Raises
    ------
    ValueError
        For an unknown name, or an engine that is not installed.
    """
    if choice == "none":
        return []
    if choice == "auto":
        return [name for name in NAMES if not missing(name)]
    names = choice.split(",")
    for name in names:
        if name not in NAMES:
            msg = f"engine {name!r} is unknown: auto, none, or of {', '.join(NAMES)}"
            raise ValueError(msg)
        if missing(name):
            msg = f"engine {name!r} needs: pip install {' '.join(missing(name))}"
            raise ValueError(msg)
    return names


def load(name: str) -> ModuleType:
    return import_module(f".{name}", __name__)


def version(name: str) -> str:
    return metadata.version(load(name).PACKAGES[0])


def missing(name: str) -> list[str]:
    """Distributions that an engine needs and that are not installed."""
    packages: tuple[str, ...] = load(name).PACKAGES
    return [package for package in packages if not _installed(package)]


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
