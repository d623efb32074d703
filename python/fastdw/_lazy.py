"""Names of a package that are imported when they are first named.

Whoever loads a network on a board does not wait for layers, converters and twins.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def attributes(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package: names by the modules in it that hold them.

    A module that is listed without names is a name itself.
    """
    modules = {name: module for module, names in homes.items() for name in names or (module,)}

    def attribute(name: str) -> Any:
        if name not in modules:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        module = import_module(f"{package}.{modules[name]}")
        value = getattr(module, name) if homes[modules[name]] else module
        setattr(sys.modules[package], name, value)
        return value

    return attribute
