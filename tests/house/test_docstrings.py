"""The examples in docstrings run, and give what they say; docstrings are whole."""

import doctest
import importlib
import inspect
import pkgutil
import re

import fastdw
import numpy as np
import pytest

PACKAGES = ("fastdw", "fastdw_bench")
SKIPPED = ("fastdw.demo.train", "fastdw.demo.plot")  # of packages that only they want


def examples():
    for package in map(importlib.import_module, PACKAGES):
        names = [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
        for name in [package.__name__, *names]:
            if name in SKIPPED or name.endswith(("__main__", "_core")) or ".peers." in name:
                continue
            try:
                module = importlib.import_module(name)
            except ImportError:  # of a package that is not installed here
                continue
            yield from doctest.DocTestFinder(exclude_empty=True).find(module)


EXAMPLES = [example for example in examples() if example.examples]


def test_there_are_examples():
    names = {example.name.rpartition(".")[2] for example in EXAMPLES}
    assert {"depthwise_conv2d", "conv2d", "pointwise_conv2d", "separable_conv2d"} <= names
    assert {"DepthwiseConv2D", "Conv2D", "PointwiseConv2D", "SeparableConv2D"} <= names
    assert {"Dense", "InvertedResidual", "SqueezeExcite"} <= names


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_an_example_runs(example, monkeypatch):
    monkeypatch.setitem(example.globs, "np", np)
    monkeypatch.setitem(example.globs, "fastdw", fastdw)
    said = []
    # Else it would look for -v in the command, and say more than what fails.
    doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert not said, "".join(said)


def public():
    """What users call, by name: functions, classes, and the methods of these."""
    for module in (fastdw, fastdw.ops, fastdw.reference):
        for name in module.__all__:
            thing = getattr(module, name)
            if not callable(thing) or thing in (fastdw.Symbol, fastdw.TensorSpec):
                continue  # nobody constructs these two
            yield f"{module.__name__}.{name}", thing
            if inspect.isclass(thing):
                for method, function in inspect.getmembers(thing, callable):
                    if not method.startswith("_") or method == "__call__":
                        yield f"{module.__name__}.{name}.{method}", function


def sections(docstring):
    parts = re.split(r"^(\w[\w ]*)\n-+\n", inspect.cleandoc(docstring), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("name", "thing"), [pytest.param(*p, id=p[0]) for p in public()])
def test_a_docstring_names_parameters_result_and_errors(name, thing):
    found = sections(thing.__doc__)
    lines = [line for line in found.get("Parameters", "").splitlines() if line[:1].strip()]
    named = [part.strip(" *") for line in lines for part in line.split(" : ")[0].split(",")]
    signature = inspect.signature(thing)
    assert sorted(named) == sorted(set(signature.parameters) - {"self"})
    elsewhere = found.get("Parameters", "")
    if not inspect.isclass(thing) and signature.return_annotation != "None":
        assert "Returns" in found or "so are the result" in elsewhere
    if named and not name.startswith("fastdw.reference"):
        assert "Raises" in found or re.search(r"\berrors\b", "".join(found.values()))
