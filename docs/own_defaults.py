"""For mkdocstrings, what Griffe makes of docstrings otherwise.

Names that share an entry each get their own default: Griffe gives all of them that of the first.
Where the entry says no type there is none, rather than the signature's, whose names are this
package's own. "See Also" is a list.
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
                _list_others(member)
            if isinstance(member, (griffe.Class, griffe.Module)):
                self._correct(member)


def _correct_parameters(member: griffe.Class | griffe.Function) -> None:
    signature = {parameter.name: parameter for parameter in member.parameters}
    for section in member.docstring.parsed if member.docstring else ():
        if not isinstance(section, griffe.DocstringSectionParameters):
            continue
        of_text: dict[str, list[griffe.DocstringParameter]] = {}
        for parameter in section.value:
            if any(parameter.annotation is other.annotation for other in signature.values()):
                parameter.annotation = None
            of_text.setdefault(parameter.description, []).append(parameter)
        for entry in of_text.values():
            for parameter in entry[1:]:
                if parameter.name in signature:
                    parameter.value = signature[parameter.name].default


def _list_others(member: griffe.Class | griffe.Function) -> None:
    for section in member.docstring.parsed if member.docstring else ():
        if isinstance(section, griffe.DocstringSectionAdmonition) and section.title == "See Also":
            lines = section.value.description.splitlines()
            pairs = [line.partition(" : ") for line in lines if line]
            section.value.description = "\n".join(f"- `{name}`: {what}" for name, _, what in pairs)
