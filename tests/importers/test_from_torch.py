"""PyTorch modules through ONNX, against PyTorch itself."""

import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("torch")

import torch
from fastdw.importers import torch as importer
from fastdw.network._graph import run
from fastdw.network._network import Network
from fastdw.network._rewrite import rewrite
from torch import nn


class Block(nn.Module):
    """Expand, depthwise, squeeze-excite, project, and the shortcut."""

    def __init__(self, channels):
        super().__init__()
        wide = 3 * channels
        self.expand = nn.Sequential(nn.Conv2d(channels, wide, 1), nn.BatchNorm2d(wide), nn.SiLU())
        self.depthwise = nn.Sequential(
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide), nn.BatchNorm2d(wide), nn.Hardswish()
        )
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, 4, 1), nn.ReLU(), nn.Conv2d(4, wide, 1),
            nn.Hardsigmoid(),
        )  # fmt: skip
        self.project = nn.Conv2d(wide, channels, 1)

    def forward(self, x):
        y = self.depthwise(self.expand(x))
        return x + self.project(y * self.gate(y))


class Shuffle(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        y = torch.cat([nn.functional.relu6(a), b], 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


MODULES = {
    "classifier": nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), Block(8),
        nn.MaxPool2d(3, 2, 1), nn.Flatten(), nn.Linear(8 * 5 * 4, 5), nn.Softmax(1),
    ),
    "shuffle": nn.Sequential(nn.Conv2d(3, 8, 1), Shuffle()),
    "pools": nn.Sequential(nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2, 2, ceil_mode=True)),
    "activations": nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.PReLU(4), nn.LeakyReLU(0.2), nn.ELU(0.5), nn.GELU(), nn.Tanh(),
        nn.GELU("tanh"), nn.Sigmoid(), nn.Hardtanh(0.4, 0.6),
    ),
    "decoder": nn.Sequential(
        nn.ConvTranspose2d(3, 6, 3, 2, 1, output_padding=1), nn.ReflectionPad2d(2),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.Upsample(scale_factor=2, mode="nearest"), nn.PixelShuffle(1),
    ),
}  # fmt: skip


def read(module, example, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importer.from_torch(module, example, **options)


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    torch.manual_seed(1)
    module = MODULES[name].eval()
    x = torch.randn(1, 3, 20, 16)
    graph = read(module, x)
    with torch.no_grad():
        wanted = module(x)[0].numpy()
    assert graph.inputs[0].shape == (3, 20, 16)
    for version in (graph, rewrite(graph)[0]):
        (got,) = run(version, [x[0].numpy()])
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_network():
    module = MODULES["shuffle"].eval()
    x = torch.randn(2, 3, 8, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = Network.from_torch(module, x[:1], data_format="NHWC")
    with torch.no_grad():
        wanted = module(x).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(network(x.permute(0, 2, 3, 1).numpy()), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "example", "error", "why"),
    [
        (3, torch.zeros(1, 3, 4, 4), TypeError, "module must be"),
        (nn.ReLU().eval(), [1], TypeError, "example must be a tensor"),
        (nn.ReLU().eval(), torch.zeros(2, 3, 4, 4), ValueError, "of one image"),
        (nn.ReLU(), torch.zeros(1, 3, 4, 4), ValueError, "mode of evaluation"),
        (nn.LSTM(3, 4).eval(), torch.zeros(1, 5, 3), ValueError, "does not run: .*LSTM"),
    ],
)
def test_what_is_refused(module, example, error, why):
    with pytest.raises(error, match=why):
        read(module, example)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(RuntimeError, match=r"needs torch 2\.5 or later, onnx and onnxscript"):
        read(nn.ReLU().eval(), torch.zeros(1, 3, 4, 4))
