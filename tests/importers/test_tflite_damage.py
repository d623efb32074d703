"""Damaged and hostile TFLite files: a ValueError, soon and in little memory."""

import os
import pathlib
import time
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("tflite")

from fastdw.importers.tflite import from_tflite
from support import rng, thin
from tflite_cases import LAYER_CASES
from tflite_models import Quantised, Sparse, conv, depthwise, model, node

SECONDS, BYTES = 1.0, 64 << 20


def read(data):
    """Whether a file is read; else it must be a ValueError."""
    try:
        from_tflite(data)
    except ValueError:
        return False
    return True


def flipped(data, generator):
    """A copy with one to four bytes that are others, more often in the first kilobytes."""
    copy = bytearray(data)
    for _ in range(generator.integers(1, 5)):
        end = len(copy) if generator.random() < 0.5 else min(len(copy), 4096)
        copy[generator.integers(end)] = generator.integers(256)
    return bytes(copy)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x1c\0\0\0TFL3", b"PK\3\4" * 8, b"\0" * 64])
def test_a_foreign_file(data):
    assert not read(data)


@pytest.mark.parametrize(
    "name", thin(["CONV_2D (3, 4) same", "DENSIFY in blocks", "SPACE_TO_BATCH_ND"])
)
def test_every_prefix_and_many_flipped_bytes(name):
    data = LAYER_CASES[name].data
    assert read(data)
    for end in thin(range(len(data))):
        read(data[:end])
    generator = rng(1)
    for _ in thin(range(2000)):
        read(flipped(data, generator))


@pytest.mark.parametrize("name", ["tiny_vww_96_int8", "mp_face_detection_short_range"])
def test_a_damaged_trained_network(name):
    folder = os.environ.get("FASTDW_MODELS")
    if not folder:
        pytest.skip("FASTDW_MODELS names no folder of trained networks")
    data = (pathlib.Path(folder) / f"{name}.tflite").read_bytes()
    for end in range(0, len(data) * 9 // 10, len(data) // 20):  # a zip may follow
        assert not read(data[:end])
    generator = rng(2)
    for _ in range(60):
        read(flipped(data, generator))


def sparse(shape, levels, numbers=1):
    s = Sparse(shape, np.ones(numbers, np.float32), list(range(len(levels))), levels)
    return model(node("FULLY_CONNECTED", "x s", "y", "FullyConnectedOptions"), (1, 8), s=s)


BIG = 2**31 - 1
HOSTILE = {
    "an endless image": model(node("RELU", "x"), (1, BIG, BIG, BIG)),
    "an endless sum": model(node("ADD", "x b", "y", "AddOptions"), (1, BIG), b=np.float32(1)),
    "an endless map": model(
        node("ADD", "x b", "y", "AddOptions"), (1, BIG, 4, 8), b=np.ones((4, 1), np.float32)
    ),
    "an endless pad": model(node("PAD", "x p", "y"), (1, 4), p=np.int32([[0, 0], [BIG, BIG]])),
    "an endless image resized": model(
        node("RESIZE_BILINEAR", "x s", "y", "ResizeBilinearOptions"),
        (1, 4, 4, 1),
        s=np.int32([BIG, BIG]),
    ),
    "an endless image with one more axis": model(
        [node("EXPAND_DIMS", "x a", "e"), node("RELU", "e")], (1, BIG, BIG), a=np.int32([9])
    ),
    "an endless fill": model(
        [node("FILL", "n v", "f"), node("ADD", "x f", "y", "AddOptions")],
        (1, 4),
        n=np.int32([BIG]),
        v=np.float32(1),
    ),
    "an endless slice": model(
        node("STRIDED_SLICE", "x b e s", "y", "StridedSliceOptions"),
        (1, BIG, 1),
        b=np.int32([0, BIG, 0]),
        e=np.int32([1, 0, 1]),
        s=np.int32([1, -1, 1]),
    ),
    "endless blocks": model(
        [
            node("SPACE_TO_BATCH_ND", "x b p", "s"),
            conv("s w v", "t"),
            node("BATCH_TO_SPACE_ND", "t b p", "y"),
        ],
        (1, 4, 4, 1),
        b=np.int32([BIG, BIG]),
        p=np.int32([[0, BIG - 4], [0, BIG - 4]]),
        w=np.ones((1, 3, 3, 1), np.float32),
        v=np.ones(1, np.float32),
    ),
    "an endless sparse tensor": sparse((BIG, 8), [BIG, ([0], [])]),
    "a sparse tensor outside its shape": sparse((2, 8), [1, ([0, 1], [9])]),
    "a sparse tensor of negative places": sparse((2, 8), [1, ([0, 1], [-1])]),
    "a sparse tensor with segments that fall": sparse((2, 8), [2, ([0, 3, 1], [0])]),
    "a scale of zero": model(
        conv("x w", "y"), (1, 4, 4, 1), w=Quantised(0.0, numbers=np.ones((1, 1, 1, 1)))
    ),
    "a scale for another axis": model(
        conv("x w", "y"),
        (1, 4, 4, 1),
        w=Quantised([1.0, 2.0], [0, 0], axis=7, numbers=np.ones((1, 1, 1, 1))),
    ),
    "an endless image with weights of nine bits": model(
        depthwise("x w b", "y"),
        (1, BIG // 8, 1, 2),
        signature=(),
        w=Quantised(0.01, 97, "uint8", numbers=np.full((1, 3, 3, 2), 255, np.uint8)),
        b=Quantised(0.0005, 0, "int32", numbers=np.int32([1, 2])),
        quantised={"x": Quantised(0.05, 131, "uint8"), "y": Quantised(0.3, 119, "uint8")},
    ),
    "an operator that reads its own result": model(node("RELU", "y"), (1, 4)),
    "a tensor that is computed twice": model([node("RELU", "x"), node("RELU", "x")], (1, 4)),
}
TAKEN = ("an endless image", "an endless image with weights of nine bits")
"""Networks that need no memory before they run."""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_small_file_asks_for_little(name):
    if tracemalloc.is_tracing():
        pytest.skip("memory is being traced already")
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        taken = read(HOSTILE[name])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not taken or name in TAKEN
    assert peak < BYTES
    assert time.perf_counter() - begin < SECONDS
