"""Whole published networks, small enough for an emulated CPU, with drawn weights.

``python tests/networks/small_networks.py`` computes them on the active instruction set and stores
the hashes in ``bits.json`` beside it: do so only when the arithmetic is meant to change, and say
why in the commit.
"""

import hashlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))  # for `support`, as a program

import fastdw
import numpy as np
from fastdw import Network
from fastdw.network._graph import GraphBuilder
from fastdw.network._shapes import same_pads
from support import rng, signed

STORED = pathlib.Path(__file__).with_name("bits.json")
NORM = 3.0  # of a drawn kernel's columns, about: keeps signals from dying out


class Model(GraphBuilder):
    """Keras's layers with drawn weights; BatchNorm follows where there is one."""

    def __init__(self, seed):
        super().__init__()
        self.generator = rng(seed)

    def drawn(self, fan_in, *shape):
        return signed(self.generator, shape) * np.float32((NORM / fan_in) ** 0.5)

    def norm(self, x, act=None):
        channels = self.shape(x)[-1]
        scale = 1 + 0.25 * signed(self.generator, channels).astype(float)
        offset = 0.5 * signed(self.generator, channels).astype(float)
        x = self.add("affine", x, scale=scale, offset=offset)
        return self.add("activation", x, activation=act) if act else x

    def placed(self, x, size, stride):
        pads = same_pads(self.shape(x), (size, size), (stride, stride))
        return {"strides": (stride, stride), "padding": pads}

    def plain(self, x, filters, size=1, stride=1):
        fan_in = size * size * self.shape(x)[2]
        kernel = self.drawn(fan_in, size, size, self.shape(x)[2], filters)
        bias = 0.25 * signed(self.generator, filters)
        return self.add("conv2d", x, kernel=kernel, bias=bias, **self.placed(x, size, stride))

    def conv(self, x, filters, size=1, stride=1, act=None):
        return self.norm(self.plain(x, filters, size, stride), act)

    def depthwise(self, x, size=3, stride=1):
        kernel = self.drawn(size * size, size, size, self.shape(x)[2], 1)
        return self.add("depthwise", x, kernel=kernel, **self.placed(x, size, stride))

    def gate(self, x, channels):
        y = self.add("global_pool", x, function="average")
        y = self.add("activation", self.plain(y, channels), activation="relu")
        y = self.add("activation", self.plain(y, self.shape(x)[2]), activation="hard_sigmoid")
        return self.add("multiply", [x, y])

    def classes(self, x, count):
        return self.build(self.add("softmax", self.plain(x, count)))


def _channels(value):
    """The multiple of eight that MobileNets take for a number of channels."""
    result = max(8, int(value + 4) // 8 * 8)
    return result + 8 if result < 0.9 * value else result


def mobilenet_v2():
    """MobileNetV2, a width of 0.35, images of 96 × 96."""
    b = Model(1)
    x = b.conv(b.input("x", (96, 96, 3)), 16, 3, 2, "relu6")
    x = b.conv(b.norm(b.depthwise(x), "relu6"), 8)
    blocks = [(24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)]
    for filters, count, stride in blocks:
        for i in range(count):
            y = b.conv(x, 6 * b.shape(x)[2], act="relu6")
            y = b.norm(b.depthwise(y, 3, 1 if i else stride), "relu6")
            y = b.conv(y, _channels(0.35 * filters))
            x = b.add("add", [x, y]) if i else y
    x = b.add("global_pool", b.conv(x, 1280, act="relu6"), function="average")
    return b.classes(x, 1000)


def mobilenet_v3_small():
    """MobileNetV3 Small, images of 96 × 96."""
    b = Model(2)
    x = b.conv(b.input("x", (96, 96, 3)), 16, 3, 2, "hard_swish")
    # expanded, filters, kernel, stride, gated, activation
    blocks = [
        (16, 16, 3, 2, True, "relu"), (72, 24, 3, 2, False, "relu"), (88, 24, 3, 1, False, "relu"),
        (96, 40, 5, 2, True, "hard_swish"), (240, 40, 5, 1, True, "hard_swish"),
        (240, 40, 5, 1, True, "hard_swish"), (120, 48, 5, 1, True, "hard_swish"),
        (144, 48, 5, 1, True, "hard_swish"), (288, 96, 5, 2, True, "hard_swish"),
        (576, 96, 5, 1, True, "hard_swish"), (576, 96, 5, 1, True, "hard_swish"),
    ]  # fmt: skip
    for expanded, filters, size, stride, gated, act in blocks:
        y = x if expanded == 16 else b.conv(x, expanded, act=act)
        y = b.norm(b.depthwise(y, size, stride), act)
        y = b.gate(y, _channels(expanded / 4)) if gated else y
        y = b.conv(y, filters)
        x = b.add("add", [x, y]) if b.shape(x) == b.shape(y) else y
    x = b.add("global_pool", b.conv(x, 576, act="hard_swish"), function="average")
    x = b.add("activation", b.plain(x, 1024), activation="hard_swish")
    return b.classes(x, 1000)


def blazeface():
    """A detector of BlazeFace's kind: two outputs, shortcuts of fewer channels, no BatchNorm."""
    b = Model(3)
    x = b.input("image", (64, 64, 3))
    x = b.add("activation", b.plain(x, 24, 5, 2), activation="relu")
    maps = []
    for filters, stride in [(24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2), (56, 1), (88, 2)]:
        if stride == 2:
            maps.append(x)
        y = b.plain(b.depthwise(x, 3, stride), filters)
        if stride == 2:
            place = b.placed(x, 2, 2)
            x = b.add("pool", x, function="max", window=(2, 2), **place)
        missing = filters - b.shape(x)[2]
        if missing:
            channels = (*range(b.shape(x)[2]), *[-1] * missing)
            x = b.add("gather", x, channels=channels)
        x = b.add("activation", b.add("add", [y, x]), activation="relu")
    boxes, scores = ([_rows(b, b.plain(m, n * k), n, k) for m, n in ((maps[-1], 2), (x, 6))]
                     for k in (16, 1))  # fmt: skip
    joined = [b.add("concat", parts, axis=0) for parts in (boxes, scores)]
    return b.build([joined[0], b.add("activation", joined[1], activation="sigmoid")])


def _rows(b, x, anchors, numbers):
    """A row of numbers for each anchor of each pixel."""
    height, width, _ = b.shape(x)
    return b.add("reshape", x, shape=(height * width * anchors, numbers))


NETWORKS = {build.__name__: build for build in (mobilenet_v2, mobilenet_v3_small, blazeface)}


def image(graph, batch=None):
    shape = graph.inputs[0].shape
    return signed(rng(9), shape if batch is None else (batch, *shape))


def digest(results):
    """SHA-256 of the outputs, one after the other, all zeros made +0."""
    arrays = results if isinstance(results, tuple) else (results,)
    result = hashlib.sha256()
    for array in arrays:
        assert np.isfinite(array).all()
        result.update((array + np.float32(0)).astype("<f4").tobytes())
    return result.hexdigest()


def main():
    if fastdw.show_config(mode="dict")["isas"]["active"] == "scalar":
        message = "The scalar kernels round otherwise: run this with a SIMD set."
        raise SystemExit(message)
    hashes = {}
    for name, build in NETWORKS.items():
        graph = build()
        hashes[name] = digest(Network._from_graph(graph)(image(graph)))
    STORED.write_text(json.dumps(hashes, indent=2) + "\n")


if __name__ == "__main__":
    main()
