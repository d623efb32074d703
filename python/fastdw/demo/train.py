"""Train the network of the demo and write its file: ``python -m fastdw.demo.train``.

Needs torch and scikit-learn (``pip install "fastdw[train]"``), and about a minute on one core.

Data
----
The 1797 digits of ``sklearn.datasets.load_digits``. A quarter of each class is held out, by
``train_test_split`` with seed 0, and decides nothing: layers, augmentation and the number of epochs
were chosen inside the other three quarters, and the weights are those after the last epoch.
``--validate`` trains so on three quarters of these and reads 334 of the 337 left (99.1 %): about
what to expect, of which the held-out quarter is a lucky draw.

What is promised
----------------
Everything random is seeded and one thread computes, so the same versions of torch, NumPy and
scikit-learn on the same CPU write the same arrays, bit for bit. Elsewhere sums round differently,
and the accuracy may move by a few images.
"""

# mypy: disable-error-code="import-not-found, import-untyped, no-untyped-call"
# mypy: allow-subclassing-any

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

from fastdw.demo.network import FILE, REFERENCE, Array, DigitNetwork, as_input, load

EPOCHS = 200
BATCH = 64
LEARNING_RATE = 0.01
WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.1
DROPOUT = 0.2
# Augmentation, uniform around the identity: each entry of the 2 × 2 matrix (rotation, scale and
# shear at once), and the shift in halves of the image (0.7 pixels).
WARP = 0.12
SHIFT = 0.175


class TorchNetwork(nn.Module):
    """`DigitNetwork` in torch: modules have the names of its layers and of their arguments."""

    def __init__(self) -> None:
        super().__init__()
        swish, relu6 = nn.Hardswish(), nn.ReLU6()
        self.stem = _separable(1, 24, swish, relu6, multiplier=8)
        self.refine = _separable(24, 24, relu6)
        self.down = _separable(24, 48, relu6, stride=2)
        self.expand = _layer(
            pointwise=nn.Conv2d(48, 96, 1, bias=False),
            batch_norm=nn.BatchNorm2d(96),
            activation=swish,
        )
        self.project = _separable(96, 48, swish)
        self.pool = _layer(
            depthwise=nn.Conv2d(48, 48, 4, groups=48, bias=False),
            batch_norm=nn.BatchNorm2d(48),
            activation=swish,
        )
        self.classify = _layer(pointwise=nn.Conv2d(48, 10, 1))
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 8, 8)."""
        x = self.stem(x)
        x = functional.relu6(x + self.refine(x))
        x = self.down(x)
        x = x + self.project(self.expand(x))
        x = self.pool(x)
        logits: Tensor = self.classify(self.dropout(x))
        return logits.flatten(1)


def _layer(**modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


def _separable(
    channels: int,
    filters: int,
    depthwise_activation: nn.Module,
    activation: nn.Module | None = None,
    *,
    multiplier: int = 1,
    stride: int = 1,
) -> nn.Sequential:
    between = channels * multiplier
    return _layer(
        depthwise=nn.Conv2d(channels, between, 3, stride, 1, groups=channels, bias=False),
        depthwise_batch_norm=nn.BatchNorm2d(between),
        depthwise_activation=depthwise_activation,
        pointwise=nn.Conv2d(between, filters, 1, bias=False),
        batch_norm=nn.BatchNorm2d(filters),
        activation=activation or nn.Identity(),
    )


def split(images: Array, labels: Array) -> tuple[Array, Array, Array, Array]:
    """Three quarters of each class and the last quarter: images, images, labels, labels."""
    parts = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)
    return tuple(parts)


def as_tensor(images: Array) -> Tensor:
    """Images (N, 1, 8, 8) of pixels (N, 8, 8)."""
    return torch.from_numpy(as_input(images)).permute(0, 3, 1, 2)


def augmented(images: Tensor) -> Tensor:
    """Turn, scale, shear and shift every image a little, each in its own way."""
    n = len(images)
    warp = torch.eye(2) + WARP * (2 * torch.rand(n, 2, 2) - 1)
    shift = SHIFT * (2 * torch.rand(n, 2, 1) - 1)
    grid = functional.affine_grid(
        torch.cat([warp, shift], 2), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, align_corners=False)


def train(images: Tensor, labels: Tensor) -> TorchNetwork:
    """Train a network from its seeded start through a fixed number of epochs."""
    torch.manual_seed(0)
    network = TorchNetwork()
    batches = len(images) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=EPOCHS * batches, pct_start=0.2
    )
    for epoch in range(1, EPOCHS + 1):
        for batch in torch.randperm(len(images))[: batches * BATCH].view(-1, BATCH):
            loss = functional.cross_entropy(
                network(augmented(images[batch])), labels[batch], label_smoothing=LABEL_SMOOTHING
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % 20 == 0:
            print(f"epoch {epoch} of {EPOCHS}: loss {loss.item():.3f} in its last batch")
    network.eval()
    # The file holds halves, so that the wheel stays small: what it holds is what is judged.
    network.half().float()
    return network


def arrays_of(network: TorchNetwork) -> dict[str, Any]:
    """Kernels, biases and BatchNorms, named ``layer.argument`` and laid out as fastdw takes them.

    A BatchNorm is four rows: gamma, beta, mean, variance.
    """
    arrays = {}
    for name, module in network.named_modules():
        layer, _, part = name.partition(".")
        if isinstance(module, nn.Conv2d):
            kernel = module.weight.detach().numpy()
            if part == "depthwise":  # (C·m, 1, kh, kw) to (kh, kw, C, m)
                taps = kernel.reshape(module.groups, -1, *module.kernel_size)
                arrays[f"{layer}.depthwise_kernel"] = taps.transpose(2, 3, 0, 1).copy()
            else:  # (F, Cin, 1, 1) to (Cin, F)
                arrays[f"{layer}.pointwise_kernel"] = kernel[:, :, 0, 0].T.copy()
            if module.bias is not None:
                arrays[f"{layer}.bias"] = module.bias.detach().numpy()
        elif isinstance(module, nn.BatchNorm2d):
            state = module.state_dict()
            rows = [state[row] for row in ("weight", "bias", "running_mean", "running_var")]
            arrays[name] = torch.stack(rows).numpy()
    return arrays


def main() -> None:
    """Train, and write the file or, to choose between networks, validate."""
    parser = argparse.ArgumentParser(prog="python -m fastdw.demo.train", description=main.__doc__)
    parser.add_argument("--output", type=Path, default=FILE, help="the .npz (default: %(default)s)")
    parser.add_argument(
        "--validate",
        action="store_true",
        help="hold out a quarter of the training images instead, and write nothing",
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    digits = load_digits()
    pixels, targets = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    images, held_out, labels, held_out_labels = split(pixels, targets)
    if arguments.validate:
        images, held_out, labels, held_out_labels = split(images, labels)
    network = train(as_tensor(images), torch.from_numpy(labels).long())
    with torch.inference_mode():
        logits = network(as_tensor(held_out)).numpy()
    right = int((logits.argmax(1) == held_out_labels).sum())
    print(f"{right} of {len(held_out)} held-out images right ({right / len(held_out):.2%})")
    if arguments.validate:
        return

    halves = {name: array.astype(np.float16) for name, array in arrays_of(network).items()}
    np.savez_compressed(arguments.output, images=held_out, labels=held_out_labels, **halves)
    weights, _ = load(arguments.output)
    difference = np.abs(DigitNetwork(weights, REFERENCE)(as_input(held_out)) - logits).max()
    print(
        f"{arguments.output}: {arguments.output.stat().st_size} bytes,"
        f" logits within {difference:.1e} of torch"
    )
    if difference > 1e-4:
        parser.exit(1, "DigitNetwork is not the network that was trained\n")


if __name__ == "__main__":
    main()
