"""Every example runs, and does what it says."""

import contextlib
import importlib.util
import io
import json
import os
import re
import socket
import subprocess
import sys
import tracemalloc
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastdw.demo.network import load

EXAMPLES = Path(__file__).parents[2] / "examples"
IMAGES, LABELS = load()[1]


def run(name, *arguments, expect=0):
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == expect, done.stderr
    return done.stdout


def need(package):
    """Skip where a package is missing, or cannot be imported because another one is."""
    done = subprocess.run([sys.executable, "-c", f"import {package}"], capture_output=True)
    if done.returncode:
        pytest.skip(f"{package} cannot be imported here")


@contextlib.contextmanager
def started(name):
    """The port of a service that runs until the block is left."""
    service = subprocess.Popen(
        [sys.executable, EXAMPLES / f"{name}.py", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        yield int(re.search(r"127\.0\.0\.1:(\d+)", service.stdout.readline())[1])
        assert service.poll() is None
    finally:
        service.kill()
        service.communicate()


def test_all_examples_are_listed_and_tested():
    files = {path.stem for path in EXAMPLES.glob("*.py")}
    text = (EXAMPLES / "README.md").read_text()
    assert files == set(re.findall(r"\]\((\w+)\.py\)", text))
    source = Path(__file__).read_text()
    assert files == {name for name in files if f'"{name}"' in source}


def test_mobilenet_block():
    assert "25,740,288 MACs" in run("mobilenet_block")


def test_camera_loop():
    row, column = map(int, re.search(r"row (\d+), column (\d+)", run("camera_loop", 30)).groups())
    # The square of frame 29 is in rows 50 to 69, columns 58 to 77.
    assert 48 <= row <= 69
    assert 56 <= column <= 77


def test_camera_loop_allocates_nothing():
    spec = importlib.util.spec_from_file_location("loop", EXAMPLES / "camera_loop.py")
    loop = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loop)
    most = []

    def camera(frames):
        for i, frame in enumerate(original(frames)):
            if i == 2:
                tracemalloc.start()
                tracemalloc.reset_peak()
            yield frame
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    original, loop.camera = loop.camera, camera
    with contextlib.redirect_stdout(io.StringIO()):
        loop.main(10)
    # A frame as floats has 230,400 bytes, the smaller result 4,800.
    assert most[0] < 4800


def test_keras_layer():
    need("keras")
    assert "largest difference" in run("keras_layer")


def test_torch_block():
    need("torch")
    assert "largest difference" in run("torch_block")


def test_image_folder(tmp_path):
    need("PIL")
    from PIL import Image

    folder, out = tmp_path / "pictures", tmp_path / "features.npz"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(18):
        pixels = rng.integers(0, 256, (40 + i, 60, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    (folder / "05.txt").write_text("no picture")
    Image.fromarray(pixels).save(folder / "99.png")
    assert run("image_folder", folder, out).startswith("19 pictures, 64 features each")
    with np.load(out) as found:
        names, features = found["names"], found["features"]
    assert list(names[:2]) == ["00.png", "01.png"]
    assert features.shape == (19, 64)
    assert np.array_equal(features[17], features[18])
    assert len(np.unique(features[:18], axis=0)) == 18
    run("image_folder", folder, expect=1)


def test_face(tmp_path):
    need("PIL, tflite")
    if "FASTDW_MODELS" not in os.environ:
        pytest.skip("FASTDW_MODELS names no folder of trained networks")
    from PIL import Image

    model = Path(os.environ["FASTDW_MODELS"]) / "mp_face_detection_short_range.tflite"
    with np.load(model.with_suffix(".npz")) as arrays:
        pixels = np.round((arrays["in"][0] + 1) * 127.5).astype(np.uint8)
    wide = np.zeros((128, 168, 3), np.uint8)
    wide[:, :128] = pixels
    for name, picture in (("square", pixels), ("wide", wide)):
        file, drawing = tmp_path / f"{name}.png", tmp_path / f"{name} faces.png"
        Image.fromarray(picture).save(file)
        said = run("face", file, drawing, model)
        sure, *box = map(float, re.search(r"\((\d+)% sure\).*?" + 4 * r"(\d+)\D+", said).groups())
        # Looked at: chin, hair and ears are where the box ends.
        assert sure > 80
        np.testing.assert_allclose(box, (45, 20, 68, 44), atol=3)
        assert said.endswith(f"1 faces, drawn into {drawing}\n")
        drawn = np.asarray(Image.open(drawing)).astype(int)
        assert drawn.shape == picture.shape
        green = np.argwhere((drawn == (0, 255, 0)).all(axis=2))
        np.testing.assert_allclose(green.min(axis=0), box[1::-1], atol=1)
        np.testing.assert_allclose(green.max(axis=0), box[:1:-1], atol=1)
    run("face", expect=1)


def post(port, body):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", body, timeout=30) as answer:
        return json.load(answer)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def check_digits(port):
    """A service reads digits for many at once, and refuses what is none."""
    wanted = post(port, npy(IMAGES))["digits"]
    assert np.mean(wanted == LABELS) > 0.97

    def ask(i):
        return post(port, npy(IMAGES[i : i + 3]))["digits"] == wanted[i : i + 3]

    with ThreadPoolExecutor(16) as clients:
        assert all(clients.map(ask, range(200)))
    wrong = [
        b"",
        b"no array",
        npy(IMAGES)[:200],
        npy(IMAGES.astype(np.float32)),
        npy(IMAGES[0]),
        npy(np.array([None])),
    ]
    for body in wrong:
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(port, body)
        assert refused.value.code == 400
        assert json.load(refused.value)["error"]
        refused.value.close()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
        assert b" 413 " in client.makefile("rb").readline()
    assert post(port, npy(IMAGES[:0])) == {"digits": []}


def test_http_service():
    with started("http_service") as port:
        check_digits(port)


def test_flask_service():
    need("flask")
    need("gunicorn")
    service = "flask_service"
    command = [sys.executable, *["-m", "gunicorn", "--preload", "--workers", "2", "--threads", "4"]]
    server = subprocess.Popen(
        [*command, "--bind", "127.0.0.1:0", "--chdir", EXAMPLES, f"{service}:app"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        found = (re.search(r"Listening at: .*:(\d+) ", line) for line in server.stderr)
        check_digits(int(next(match for match in found if match)[1]))
        server.terminate()
        assert "Traceback" not in server.communicate(timeout=30)[1]
        assert server.returncode == 0
    finally:
        server.kill()
        server.communicate()


def test_asyncio_service():
    with started("asyncio_service") as port:

        def client(first):
            digits = []
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                for image in IMAGES[first:90:9]:
                    connection.sendall(image.tobytes())
                    digits += connection.recv(1)
            return digits

        with socket.create_connection(("127.0.0.1", port)) as gone:
            gone.sendall(b"half an image")
        with ThreadPoolExecutor(9) as clients:
            answers = list(clients.map(client, range(9)))
        for first, digits in enumerate(answers):
            assert np.mean(digits == LABELS[first:90:9]) >= 0.8
        assert sum(map(len, answers)) == 90
