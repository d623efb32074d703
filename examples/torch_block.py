"""A trained PyTorch block, depthwise and pointwise with BatchNorm, as one layer of fastdw."""

import numpy as np
import torch
from fastdw import SeparableConv2D


def main() -> None:
    torch.manual_seed(0)
    block = torch.nn.Sequential(
        torch.nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False),
        torch.nn.BatchNorm2d(32),
        torch.nn.ReLU6(),
        torch.nn.Conv2d(32, 64, 1, bias=False),
        torch.nn.BatchNorm2d(64),
    )
    x = torch.randn(4, 32, 28, 28)
    block(x)  # moves the statistics: in your program, load_state_dict(…)
    block.eval()
    with torch.no_grad():
        wanted = block(x).numpy()

    depthwise, depthwise_norm, _, pointwise, norm = block
    parts = {
        "depthwise_batch_norm": depthwise_norm,
        "depthwise_activation": "relu6",
        "batch_norm": norm,
    }
    layer = SeparableConv2D.from_torch(depthwise, pointwise, **parts)
    y = layer(x)  # NCHW, as the modules; a tensor is read without a copy
    print(layer)
    print(f"largest difference from PyTorch: {np.abs(y - wanted).max():.1e}")
    assert np.allclose(y, wanted, rtol=1e-4, atol=1e-4)

    # NHWC: the native layout. A channels_last tensor is that without a copy.
    native = SeparableConv2D.from_torch(depthwise, pointwise, **parts, data_format="NHWC")
    pixels = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    assert np.array_equal(native(pixels).transpose(0, 3, 1, 2), y)


if __name__ == "__main__":
    main()
