"""docs/guide/operators.md names what the importers read, no more and no less."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "operators.md"


def listed(heading):
    """The lists under a heading: paragraphs of names alone."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    section, _, _ = rest.partition("\n## ")
    lists = [p for p in section.split("\n\n") if re.fullmatch(r"\s*(`[^`]+`,?\s*)+", p)]
    names = [re.findall("`([^`]+)`", text) for text in lists]
    for each in names:
        assert each == sorted(each, key=str.lower)
        assert len(each) == len(set(each))
    return [set(each) for each in names]


def importer(name, package):
    pytest.importorskip(package)
    return import_module(f"fastdw.importers.{name}")


def test_onnx():
    onnx = importer("onnx", "onnx")
    run = set(onnx.CONVERTERS)
    assert listed("ONNX") == [run, {*onnx.FOLDS, "Shape"} - run]


def test_tflite():
    tflite = importer("tflite", "tflite")
    integers = importer("_tflite_integers", "tflite")
    run = {name for name in tflite.CONVERTERS if not name.startswith("custom operator ")}
    in_integers = {*integers._CONVERTERS, *integers._MOVES}
    assert listed("TFLite") == [run, {*tflite.FOLDS, "SHAPE"} - run, in_integers]
    for name in set(tflite.CONVERTERS) - run:
        assert f"`{name.removeprefix('custom operator ')}`" in PAGE.read_text(encoding="utf-8")


def test_keras():
    keras = importer("keras", "h5py")
    assert listed("Keras") == [{*keras.LAYERS, *keras.MERGES}, set(keras.OPERATIONS)]
