"""The examples in docstrings run, and give what they say."""

import doctest
import importlib
import pkgutil

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
