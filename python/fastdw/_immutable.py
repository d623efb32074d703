"""Objects that do not change after construction."""

from __future__ import annotations

from typing import NoReturn


class Immutable:
    """Base of the classes whose attributes only their constructor sets, by `_set`."""

    __slots__ = ("__weakref__",)

    def _set(self, **attributes: object) -> None:
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        msg = f"{type(self).__name__} is immutable: {name} cannot be set"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        msg = f"{type(self).__name__} is immutable: {name} cannot be deleted"
        raise AttributeError(msg)
