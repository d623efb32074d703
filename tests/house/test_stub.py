"""The stub of the compiled module says what the module says of itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastdw import _core

STUB = ast.parse((Path(_core.__file__).parent / "_core.pyi").read_text())
# Metaclasses of pybind11, and aliases that type checkers alone see.
KNOWN = (
    r"fastdw\._core\.(Activation|Depthwise(8|16)?|Network|Operator(8|16)?|Pointwise(8|16)?|Store|"
    r"Array|Geometry|Step)"
)


def functions():
    """(name, node) of every function and method of the stub, but for properties."""
    for node in STUB.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and not inner.decorator_list:
                    yield f"{node.name}.{inner.name}", inner


def own_parameters(name):
    """(parameter, whether it has a default) by the first line of the function's docstring."""
    function = _core
    for part in name.split("."):
        function = getattr(function, part)
    line = function.__doc__.splitlines()[0]
    inside = re.match(r"\w+\((.*)\) -> ", line)[1]
    while "[" in inside:  # types have commas too
        inside = re.sub(r"\[[^\[\]]*\]", "", inside)
    parameters = [p.partition("=") for p in inside.split(", ") if p]
    return [(left.partition(":")[0].strip(), bool(equals)) for left, equals, _ in parameters]


@pytest.mark.parametrize(
    ("name", "node"), [*functions()], ids=lambda v: v if type(v) is str else ""
)
def test_parameters(name, node):
    arguments = node.args.args
    first_default = len(arguments) - len(node.args.defaults)
    wanted = [(a.arg, i >= first_default) for i, a in enumerate(arguments)]
    assert own_parameters(name) == wanted


def test_mypy_finds_no_difference(tmp_path):
    pytest.importorskip("mypy")
    allowed = tmp_path / "allowed"
    allowed.write_text(KNOWN)
    command = [sys.executable, "-m", "mypy.stubtest", "fastdw._core", "--allowlist", str(allowed)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
