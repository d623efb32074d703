"""The picture that ``python -m fastdw.demo --plot FILE`` draws; needs matplotlib."""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastdw.demo.network import Array

COLUMNS = 6


def draw(file: Path, title: str, image: Array, probabilities: Array, maps: Array) -> None:
    """Draw a digit, what the network makes of it, and the feature maps of one of its layers.

    Parameters
    ----------
    file : Path
        Where to; the suffix says which format.
    title : str
        The line above.
    image : ndarray, (H, W)
        The digit.
    probabilities : ndarray, (10,)
        Of the answers 0 to 9.
    maps : ndarray, (H, W, channels)
        Features, not negative; all channels are drawn in one scale of colours.

    Raises
    ------
    ValueError
        For a format that matplotlib does not know.
    OSError
        For a file that cannot be written.
    """
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subfigures(1, 2, width_ratios=[2, 5], squeeze=False).flat

    digit, bars = left.subplots(2, 1, height_ratios=[3, 1])
    digit.imshow(image, cmap="gray_r")
    _frame(digit)
    bars.bar(range(len(probabilities)), probabilities, color="#08519c")
    bars.set(xticks=range(len(probabilities)), yticks=[0, 1], ylim=(0, 1), ylabel="probability")
    bars.spines[["top", "right"]].set_visible(False)

    channels = np.moveaxis(maps, -1, 0)
    axes = right.subplots(-(-len(channels) // COLUMNS), COLUMNS)
    for ax in axes.flat[len(channels) :]:
        ax.set_visible(False)
    for ax, channel in zip(axes.flat, channels, strict=False):
        drawn = ax.imshow(channel, vmin=0, vmax=maps.max(), cmap="Blues")
        _frame(ax)
    right.colorbar(drawn, ax=axes, label="activation", aspect=30)
    figure.savefig(file, dpi=150)


def _frame(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color("0.7")
