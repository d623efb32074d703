"""For mkdocstrings: names that share an entry of a docstring each get their own default and type.

Griffe gives all of them those of the first.
"""

from __future__ import annotations

from typing import Any

import griffe


class OwnDefaults(griffe.Extension):
    """Corrects the parsed docstrings of all functions and classes."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        self._correct(pkg)

    def _correct(self, parent: griffe.Object) -> None:
        for member in parent.members.values():
            if member.is_alias:
                continue
            if isinstance(member, (griffe.Class, griffe.Function)) and member.docstring:
                _correct_parameters(member)
            if isinstance(member, (griffe.Class, griffe.Module)):
                self._correct(member)


def _correct_parameters(member: griffe.Class | griffe.Function) -> None:
    signature = {parameter.name: parameter for parameter in member.parameters}
    for section in member.docstring.parsed if member.docstring else ():
        if not isinstance(section, griffe.DocstringSectionParameters):
            continue
        of_text: dict[str, list[griffe.DocstringParameter]] = {}
        for parameter in section.value:
            of_text.setdefault(parameter.description, []).append(parameter)
        for entry in of_text.values():
            typed = isinstance(entry[0].annotation, str)
            for parameter in entry[1:]:
                if parameter.name in signature:
                    parameter.value = signature[parameter.name].default
                    if not typed:
                        parameter.annotation = signature[parameter.name].annotation
