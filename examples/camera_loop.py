"""Frame after frame as a camera gives them, with no memory allocated in the loop.

Every array is made before the loop and reused: the frame as floats, and the result of each layer by
`out=`.
"""

import sys
import time
from collections.abc import Iterator

import numpy as np
from fastdw import SeparableConv2D

HEIGHT, WIDTH = 120, 160


def camera(frames: int) -> Iterator[np.ndarray]:
    """Stand in for a camera: uint8 frames (HEIGHT, WIDTH, 3), with a bright square that moves."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for i in range(frames):
        frame[...] = 20
        frame[50:70, 2 * i % WIDTH :][:, :20] = 230
        yield frame


def main(frames: int) -> None:
    # Means of neighbourhoods: no training needed, and the brightest is where the square is.
    smooth = np.full((5, 5, 3), 1 / 25, np.float32)
    layers = (
        SeparableConv2D(smooth, np.eye(3, 8, dtype=np.float32), 2, "same", activation="relu6"),
        SeparableConv2D(
            np.full((3, 3, 8), 1 / 9, np.float32), np.full((8, 1), 1 / 3, np.float32), 2, "same"
        ),
    )
    x = np.empty((HEIGHT, WIDTH, 3), np.float32)
    results, shape = [], x.shape
    for layer in layers:
        shape = layer.output_shape(shape)
        results.append(np.empty(shape, np.float32))

    begin = time.perf_counter()
    for frame in camera(frames):
        np.copyto(x, frame)
        np.multiply(x, np.float32(1 / 255), out=x)
        y = x
        for layer, out in zip(layers, results, strict=True):
            y = layer(y, out=out)
        row, column = np.unravel_index(y.argmax(), y.shape[:2])
    seconds = time.perf_counter() - begin
    print(f"the square is last seen near row {4 * row}, column {4 * column}")
    print(f"{frames} frames, {1e6 * seconds / frames:.0f} microseconds each")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
