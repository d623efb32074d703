"""Find faces in a picture with MediaPipe's detector, and draw them into a copy.

    python examples/face.py picture.jpg faces.png [face_detection_short_range.tflite]

The network is BlazeFace, for faces within two metres. Its file is Google's; the package mediapipe
holds it, and it is looked for there unless it is named. Needs Pillow and fastdw[tflite].
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fastdw import Network
from PIL import Image, ImageDraw

SIZE = 128  # of the network's picture
SURE = 0.5  # the least score
OVERLAP = 0.3  # of two boxes that are one face


class Face(NamedTuple):
    """Places are shares of the network's picture."""

    score: float
    box: np.ndarray  # left, top, right, bottom
    points: np.ndarray  # (6, 2): eyes, nose, mouth, ears


def model_file() -> Path:
    """Where the package mediapipe keeps the network; the package is not imported."""
    package = find_spec("mediapipe")
    if package is None or package.origin is None:
        sys.exit("name the file of the network, or install mediapipe")
    folder = Path(package.origin).parent / "modules" / "face_detection"
    return folder / "face_detection_short_range.tflite"


def anchors() -> np.ndarray:
    """The centres that boxes are relative to: two for each cell of 16 × 16, six for 8 × 8."""
    parts = []
    for cells, count in ((16, 2), (8, 6)):
        centres = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)  # x, y
        parts.append(np.repeat(grid, count, axis=0))
    return np.concatenate(parts)


def decoded(numbers: np.ndarray, logits: np.ndarray) -> list[Face]:
    """Faces of one picture, the surest first: (896, 16) numbers and (896, 1) logits."""
    scores = 1 / (1 + np.exp(-logits[:, 0].clip(-80, 80)))
    # Pairs of x and y: centre, width and height, six points.
    pairs = numbers.reshape(len(numbers), 8, 2) / SIZE
    centre, half = anchors() + pairs[:, 0], pairs[:, 1] / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    points = anchors()[:, None] + pairs[:, 2:]
    faces: list[Face] = []
    for i in np.argsort(-scores):
        if scores[i] < SURE:
            break
        if all(overlap(boxes[i], face.box) < OVERLAP for face in faces):
            faces.append(Face(float(scores[i]), boxes[i], points[i]))
    return faces


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """The common part of two boxes, as a share of both together."""
    common = np.prod((np.minimum(a, b)[2:] - np.maximum(a, b)[:2]).clip(0))
    return float(common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common))


def main(picture: str, drawing: str, model: str | None = None) -> None:
    # Pixels from 0 to 255 become numbers from -1 to 1 inside the network.
    file = model_file() if model is None else model
    network = Network.from_tflite(file).rescale_input(1 / 127.5, -1.0, dtype="uint8")

    image = Image.open(picture).convert("RGB")
    # The network's picture is square: the image goes into its middle, black around it.
    side = max(image.size)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    square = Image.new("RGB", (side, side))
    square.paste(image, (left, top))
    numbers, logits = network(np.asarray(square.resize((SIZE, SIZE), Image.Resampling.BILINEAR)))

    faces = decoded(numbers, logits)
    pen, width = ImageDraw.Draw(image), max(side // 200, 1)
    for face in faces:
        box = face.box * side - (left, top, left, top)
        pen.rectangle(tuple(box), outline="lime", width=width)
        for x, y in face.points * side - (left, top):
            pen.ellipse((x - width, y - width, x + width, y + width), fill="red")
        print(f"a face ({face.score:.0%} sure) from {box[:2].round()} to {box[2:].round()}")
    image.save(drawing)
    print(f"{len(faces)} faces, drawn into {drawing}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
