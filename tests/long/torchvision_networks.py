"""Networks of torchvision with drawn weights, read through ONNX, against PyTorch.

    PYTHONPATH=python python tests/long/torchvision_networks.py [NAME ...]

It needs torch, torchvision, onnx and onnxscript; nothing is downloaded. For each network it prints
its steps, the largest error of the logits as a share of the largest of them, and whether the five
best are the same. It exits with 1 if one is off by more than 1e-4.
"""

import collections
import sys
import warnings

import numpy as np
import torch
import torchvision
from fastdw import Network

NETWORKS = (
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "shufflenet_v2_x1_0",
    "mnasnet1_0",
)
ALLOWED = 1e-4


def calibrated(name, x):
    """The network with the statistics of what it really sees, or all logits would be alike."""
    network = getattr(torchvision.models, name)(weights=None)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the average of all passes
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        for _ in range(2):
            network.train()(torch.randn(8, *x.shape[1:]))
    return network.eval()


def error_of(name):
    torch.manual_seed(1)
    x = torch.randn(2, 3, 224, 224)
    network = calibrated(name, x)
    with torch.no_grad():
        wanted = network(x).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = Network.from_torch(network, x[:1])
    got = net(x.numpy())
    error = np.abs(got - wanted).max() / np.abs(wanted).max()
    same = np.array_equal(np.argsort(got)[:, -5:], np.argsort(wanted)[:, -5:])
    steps = collections.Counter(node.op for node in net._graph.nodes)
    print(f"{name}: error {error:.1e} of the largest, top five {'' if same else 'not '}the same")
    print("   ", ", ".join(f"{count} {op}" for op, count in sorted(steps.items())), flush=True)
    return error


if __name__ == "__main__":
    sys.exit(int(max(map(error_of, sys.argv[1:] or NETWORKS)) > ALLOWED))
