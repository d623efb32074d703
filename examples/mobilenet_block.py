"""The inverted residual of MobileNetV2: expand, depthwise, project, and the input added.

Two layers do it: a pointwise one expands, a separable one is the depthwise and the projection.
"""

import numpy as np
from fastdw import BatchNorm, PointwiseConv2D, SeparableConv2D, reference

CHANNELS, EXPANDED = 24, 144


def main() -> None:
    rng = np.random.default_rng(0)

    def kernel(*shape: int) -> np.ndarray:
        return (0.1 * rng.standard_normal(shape)).astype(np.float32)

    def norm(channels: int) -> BatchNorm:
        gamma, variance = rng.uniform(0.5, 1.5, (2, channels))
        beta, mean = 0.1 * rng.standard_normal((2, channels))
        return BatchNorm(gamma, beta, mean, variance, epsilon=1e-3)

    expansion = {"batch_norm": norm(EXPANDED), "activation": "relu6"}
    projection = {
        "padding": "same",
        "depthwise_batch_norm": norm(EXPANDED),
        "depthwise_activation": "relu6",
        "batch_norm": norm(CHANNELS),
    }
    kernels = kernel(CHANNELS, EXPANDED), kernel(3, 3, EXPANDED), kernel(EXPANDED, CHANNELS)

    expand = PointwiseConv2D(kernels[0], **expansion)
    project = SeparableConv2D(kernels[1], kernels[2], **projection)
    x = rng.standard_normal((1, 56, 56, CHANNELS), dtype=np.float32)
    y = project(expand(x), residual=x)

    middle = reference.pointwise_conv2d(x, kernels[0], **expansion)
    exact = reference.separable_conv2d(middle, kernels[1], kernels[2], residual=x, **projection)
    print(expand)
    print(project)
    print(f"{x.shape} -> {y.shape}, {expand.macs(x.shape) + project.macs(middle.shape):,} MACs")
    print(f"largest difference from the float64 reference: {np.abs(y - exact).max():.1e}")
    assert np.allclose(y, exact, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    main()
