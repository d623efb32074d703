"""Read handwritten digits with fastdw, and check and time it against the NumPy reference."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from timeit import repeat

import numpy as np

import fastdw
from fastdw import Network
from fastdw.demo.network import REFERENCE, Array, DigitNetwork, as_input, load, whole

# The network was trained to about 99 %, and float32 rounding moves its logits by some 1e-6.
LEAST_ACCURACY = 0.97
LARGEST_DIFFERENCE = 1e-4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default those of the command line.

    Returns
    -------
    int
        0, or 1 where the accuracy or the agreement with the reference is not what it should be.
    """
    weights, (images, labels) = load()
    arguments = _parse(argv, len(images))
    twin = DigitNetwork(weights, REFERENCE)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "digits.fdw"
        whole().save(file)
        size, network = file.stat().st_size, Network.load(file)

    x = as_input(images)
    logits, expected = np.asarray(network(x)), twin(x)
    answers = logits.argmax(axis=1)
    right = np.count_nonzero(answers == labels)
    same = np.count_nonzero(answers == expected.argmax(axis=1))
    difference = np.abs(logits - expected).max()
    print(f"accuracy      {right} of {len(x)} held-out digits right ({right / len(x):.1%})")
    print(f"agreement     {same} of {len(x)} answers as in the float64 NumPy reference,")
    print(f"              logits of up to {np.abs(expected).max():.1f} within {difference:.1e}")

    fast = min(repeat(lambda: network(x), number=1, repeat=20)) / len(x)
    slow = min(repeat(lambda: twin(x), number=1, repeat=3)) / len(x)
    config = fastdw.show_config("dict")
    print(f"speed         {fast * 1e6:.1f} microseconds an image, all of them in one batch;")
    print(f"              {slow * 1e6:.1f} in the reference, {slow / fast:.0f} times as long")
    print(f"instructions  {config['isas']['active']}, threads: {config['threads']}")

    print(f"file          {size / 1024:.0f} KiB, {network.num_parameters} parameters, from which")
    print("              the network was loaded for all of this")
    n = arguments.digit
    probabilities = _softmax(logits[n])
    answer = f"a {labels[n]}, read as {answers[n]} ({probabilities[answers[n]]:.0%} sure)"
    print(f"digit {n:<8}{answer}")
    if arguments.plot is not None:
        from fastdw.demo.plot import draw

        maps = DigitNetwork(weights).stem(x[n])
        title = f"Held-out digit {n}: {answer}, and the feature maps of the first separable layer"
        try:
            draw(arguments.plot, title, images[n], probabilities, maps)
        except (OSError, ValueError) as error:
            sys.exit(f"--plot: {error}")
        print(f"picture       {arguments.plot}")

    if right < LEAST_ACCURACY * len(x) or same < len(x) or not difference <= LARGEST_DIFFERENCE:
        print("This is not what the network should compute.", file=sys.stderr)
        return 1
    return 0


def _parse(argv: Sequence[str] | None, images: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fastdw.demo", description=__doc__)
    parser.add_argument(
        "--digit",
        type=int,
        default=0,
        metavar="N",
        help=f"held-out image to look at, 0 to {images - 1} (default: %(default)s)",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw that image and its feature maps after the first separable layer, as .png, .svg "
        "or .pdf; needs matplotlib",
    )
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.digit < images:
        parser.error(f"--digit must be from 0 to {images - 1}, got {arguments.digit}")
    if arguments.plot is not None and not arguments.plot.suffix:
        parser.error(f"--plot must end in .png, .svg or .pdf, got {arguments.plot}")
    if arguments.plot is not None and find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install 'fastdw[plot]'")
    return arguments


def _softmax(logits: Array) -> Array:
    powers: Array = np.exp(logits - logits.max())
    probabilities: Array = powers / powers.sum()
    return probabilities


def _until_nobody_reads() -> int:
    """Run the demo; a closed pipe is no traceback."""
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


if __name__ == "__main__":
    sys.exit(_until_nobody_reads())
