"""`Network.from_*`: what they pass to the importers, and when they import them."""

import subprocess
import sys

import fastdw
import numpy as np
import pytest
from fastdw.importers import keras, onnx, tflite, torch
from fastdw.importers._files import SUFFIXES, open_network
from fastdw.network._network import Network
from support import rng, signed
from test_layout import image_graph


@pytest.fixture
def calls(monkeypatch):
    """The arguments that importers get; each gives a graph of a channels-first model."""
    seen = []

    def importer(*arguments, **options):
        seen.append((arguments, options))
        return image_graph(True)

    for module in (keras, onnx, tflite, torch):
        name = f"from_{module.__name__.rpartition('.')[2]}"
        monkeypatch.setattr(module, name, importer)
    return seen


@pytest.mark.parametrize("kind", ["keras", "onnx", "tflite"])
def test_files(kind, calls):
    read = getattr(Network, f"from_{kind}")
    own = read(b"model")
    last = read("path", outputs=["y", "z"], input_shape=(3, 4, 6), data_format="NHWC")
    more = {} if kind == "keras" else {"integers": "keep"}
    assert calls == [
        ((b"model",), {"outputs": None, "input_shape": None} | more),
        (("path",), {"outputs": ["y", "z"], "input_shape": (3, 4, 6)} | more),
    ]
    assert own.inputs[0].shape == (None, 3, 4, 6)
    assert last.inputs[0].shape == (None, 4, 6, 3)
    x, v = signed(rng(1), (2, 4, 6, 3)), signed(rng(2), (2, 3))
    y, z = last(x, v)
    first, same = own(np.moveaxis(x, -1, 1), v)
    np.testing.assert_array_equal(y, np.moveaxis(first, 1, -1))
    np.testing.assert_array_equal(z, same)


def test_modules(calls):
    network = Network.from_torch("module", "example", outputs=["y"], data_format="NHWC")
    assert calls == [(("module", "example"), {"outputs": ["y"]})]
    assert network.inputs[0].shape == (None, 4, 6, 3)


def test_suffixes(calls, tmp_path):
    saved = tmp_path / "net.fdw"
    Network._from_graph(image_graph(False)).save(saved)
    for suffix in SUFFIXES:
        network = open_network(saved.with_suffix(suffix.upper() if suffix != ".fdw" else suffix))
        assert network.outputs[0].name == "y"
    assert len(calls) == len(SUFFIXES) - 1


def test_public_names_are_imported_when_they_are_named():
    code = (
        "import sys, fastdw\n"
        "late = ['fastdw.network._network', 'fastdw.network._record', 'fastdw.ops']\n"
        "assert not {*late} & {*sys.modules}, sys.modules\n"
        "assert {'Input', 'Network', 'ops'} <= {*dir(fastdw)}\n"
        "assert fastdw.Network.__name__ == 'Network'\n"
        "assert fastdw.Input((4, 4, 3)).shape == (None, 4, 4, 3)\n"
        "assert fastdw.ops.softmax\n"
        "from fastdw import *\n"
        "assert Network is fastdw.Network\n"
        "assert not [n for n in sys.modules if n.startswith('fastdw.importers')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'Net'"):
        fastdw.Net  # noqa: B018
