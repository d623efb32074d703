"""Objects that do not change after construction."""

from __future__ import annotations

from typing import NoReturn


class Immutable:
    """Base of the classes whose attributes only their constructor sets, by `_set`."""

    __slots__ = ("__weakref__",)

    def _set(self, **attributes: object) -> None:
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def _check_pickled(self, cls: type | None) -> None:
        """Refuse an object of a subclass of `cls`: it could not be loaded, or as something else."""
        if type(self) is not cls:
            msg = (
                f"{type(self).__qualname__} cannot be pickled or copied, for it could not be "
                "loaded again; keep an object of fastdw as an attribute instead of a subclass"
            )
            raise TypeError(msg)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        msg = f"{type(self).__name__} is immutable: {name} cannot be set"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        msg = f"{type(self).__name__} is immutable: {name} cannot be deleted"
        raise AttributeError(msg)
