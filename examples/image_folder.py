"""A folder of pictures in batches: one row of features for each.

    python examples/image_folder.py FOLDER FEATURES.npz

Files that are no pictures are named and left out.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fastdw import Conv2D, SeparableConv2D
from PIL import Image, UnidentifiedImageError

SIZE, BATCH = 96, 16


def pictures(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pixels (SIZE, SIZE, 3) of all pictures, from 0 to 1."""
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        try:
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB").resize((SIZE, SIZE)))
        except (UnidentifiedImageError, OSError) as error:
            print(f"{path.name} is left out: {error}", file=sys.stderr)
        else:
            yield path.name, np.multiply(pixels, np.float32(1 / 255))


class Features:
    """A stem and two blocks. The weights are random here: put in those of a trained network."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)

        def kernel(*shape: int) -> np.ndarray:
            return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

        self.layers = (
            Conv2D(kernel(3, 3, 3, 16), 2, "same", activation="relu6"),
            SeparableConv2D(kernel(3, 3, 16, 1), kernel(16, 32), 2, "same", activation="relu6"),
            SeparableConv2D(kernel(3, 3, 32, 1), kernel(32, 64), 2, "same", activation="relu6"),
        )

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            x = layer(x)
        return x.mean(axis=(1, 2))


def main(folder: Path, out: Path) -> None:
    features = Features()
    names: list[str] = []
    rows: list[np.ndarray] = []
    batch = np.empty((BATCH, SIZE, SIZE, 3), np.float32)
    filled = 0
    for name, pixels in pictures(folder):
        names.append(name)
        batch[filled] = pixels
        filled += 1
        if filled == BATCH:
            rows.append(features(batch))
            filled = 0
    if filled:
        rows.append(features(batch[:filled]))
    found = np.concatenate(rows) if rows else np.empty((0, 64), np.float32)
    np.savez(out, names=np.array(names, dtype=str), features=found)
    print(f"{len(names)} pictures, {found.shape[1]} features each, in {out}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
