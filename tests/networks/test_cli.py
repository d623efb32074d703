"""The command line `fastdw`: what it writes, prints and refuses."""

import os
import subprocess
import sys

import fastdw
import numpy as np
import pytest
from fastdw.__main__ import main
from fastdw.network._network import Network
from fastdw.network._record import Input
from support import rng, signed


def network(shape=(4, 6, 3), name="image"):
    g = rng(1)
    x = Input(shape, name)
    layer = fastdw.SeparableConv2D(signed(g, (3, 3, shape[2])), signed(g, (shape[2], 5)))
    return Network(x, layer(x))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.fdw"
    network().save(path)
    return path


@pytest.fixture
def picture(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def refused(capsys, *arguments, status=2):
    """The one sentence that the command ends with."""
    assert main([str(argument) for argument in arguments]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("fastdw: ")
    assert err.count("\n") == 1
    return err


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"fastdw {fastdw.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["teach"],
        ["summary"],
        ["convert", "a.onnx"],
        ["convert", "a.onnx", "b.fdw", "--weights", "int8"],
        ["convert", "a.onnx", "b.fdw", "--scale", "1/0"],
        ["summary", "a.onnx", "--input-shape", "4,0,3"],
        ["run", "a.onnx", "b.png", "--top", "0"],
    ],
)
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_summary(saved, capsys):
    assert main(["summary", str(saved)]) == 0
    out = capsys.readouterr().out
    network().summary()
    assert out == capsys.readouterr().out


def test_sums_of_float16(saved, picture, capsys):
    """As `Network.load` takes them, or refuses them where the CPU does not."""
    commands = ["summary", saved], ["run", saved, picture]
    for command in commands:
        if fastdw.show_config("dict")["isas16"]["active"] is None:
            err = refused(capsys, *command, "--accumulate", "float16", status=1)
            assert "needs a CPU that multiplies and adds in float16" in err
        else:
            arguments = [str(part) for part in command]
            assert main([*arguments, "--accumulate", "float16"]) == 0
            out = capsys.readouterr().out
            assert main([*arguments, "--accumulate", "float32"]) == 0
            assert out != capsys.readouterr().out


def test_a_file_is_converted(saved, tmp_path, capsys):
    half, same = tmp_path / "half.fdw", tmp_path / "same.fdw"
    assert main(["convert", str(saved), str(half), "--weights", "float16"]) == 0
    assert str(half) in capsys.readouterr().out
    assert main(["convert", str(saved), str(same)]) == 0
    assert same.read_bytes() == saved.read_bytes()
    x = signed(rng(2), (4, 6, 3))
    wanted, y = network()(x), Network.load(half)(x)
    assert 0 < np.abs(y - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_a_converted_network_takes_pixels(saved, tmp_path):
    out = tmp_path / "camera.fdw"
    pixels = ["--scale", "1/127.5", "--offset=-1,-0.5,0.25", "--reverse-channels"]
    assert main(["convert", str(saved), str(out), "--uint8", *pixels]) == 0
    camera = Network.load(out)
    assert camera.inputs[0].dtype == "uint8"
    offset = np.array([-1, -0.5, 0.25])
    wanted = network().rescale_input(1 / 127.5, offset, "uint8", reverse_channels=True)
    x = rng(3).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    np.testing.assert_array_equal(camera(x), wanted(x))
    assert main(["convert", str(saved), str(out), "--scale", "0.5"]) == 0
    assert Network.load(out).inputs[0].dtype == "float32"


def test_a_picture_is_run(saved, picture, capsys):
    from PIL import Image

    assert main(["run", str(saved), str(picture), "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    with Image.open(picture) as image:
        x = np.asarray(image.resize((6, 4), Image.Resampling.BILINEAR))
    y = network().rescale_input(1 / 255, 0.0, "uint8")(x)
    assert lines[0] == f"image: (4, 6, 3) from {picture}"
    assert f"{y.shape}, from {y.min():.6g} to {y.max():.6g}" in lines[1]
    assert len(lines) == 2 + 3
    place = ", ".join(map(str, np.unravel_index(y.argmax(), y.shape)))
    assert lines[2].split("]") == [f"  [{place}", f"  {y.max():.6g}"]


@pytest.mark.parametrize("channels", [1, 4])
def test_pictures_of_other_channels(channels, tmp_path, picture, capsys):
    network((4, 6, channels)).save(tmp_path / "net.fdw")
    assert main(["run", str(tmp_path / "net.fdw"), str(picture)]) == 0
    assert f"image: (4, 6, {channels})" in capsys.readouterr().out


def test_a_network_of_pixels_is_run_as_it_is(saved, picture, tmp_path, capsys):
    path = tmp_path / "camera.fdw"
    network().rescale_input(1 / 255, 0.0, "uint8").save(path)
    assert main(["run", str(path), str(picture)]) == 0
    direct = capsys.readouterr().out
    assert main(["run", str(saved), str(picture)]) == 0
    assert direct == capsys.readouterr().out


def test_a_fdw_file_has_its_integers(saved, tmp_path, capsys):
    out = tmp_path / "again.fdw"
    said = refused(capsys, "convert", saved, out, "--integers", "float")
    assert "net.fdw has its outputs, shapes and integers" in said


def test_broken_input(saved, picture, tmp_path, capsys):
    assert "no.fdw: No such file" in refused(capsys, "summary", tmp_path / "no.fdw")
    assert "must end in one of .fdw" in refused(capsys, "summary", picture)
    broken = tmp_path / "broken.fdw"
    broken.write_bytes(saved.read_bytes()[:-1])
    assert "broken.fdw: not a network" in refused(capsys, "summary", broken)
    folder = tmp_path / "nowhere" / "out.fdw"
    assert "out.fdw: No such file" in refused(capsys, "convert", saved, folder)
    model = tmp_path / "model.onnx"
    assert "must end in .fdw" in refused(capsys, "convert", saved, model)
    assert not model.exists()
    assert ". must end in .fdw" in refused(capsys, "convert", saved, ".")
    assert "is no picture" in refused(capsys, "run", saved, broken)
    assert "no.png: No such file" in refused(capsys, "run", saved, tmp_path / "no.png")
    options = ["--outputs", "a", "--input-shape", "4,6,3"]
    assert "chosen where a model is converted" in refused(capsys, "summary", saved, *options)
    shapes = ["--input-shape", "4,6,3", "--input-shape", "a=4,6,3"]
    assert "must name its input" in refused(capsys, "summary", saved, *shapes)


def test_what_is_no_image_is_refused(picture, tmp_path, capsys):
    network((4, 6, 7)).save(tmp_path / "net.fdw")
    message = refused(capsys, "run", tmp_path / "net.fdw", picture)
    assert "one image of 1, 3 or 4 channels" in message


@pytest.mark.parametrize(
    ("package", "extra", "file"), [("PIL", "image", "net.fdw"), ("onnx", "onnx", "net.onnx")]
)
def test_missing_packages_are_named(package, extra, file, saved, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "net.onnx").write_bytes(b"")
    message = refused(capsys, "run", tmp_path / file, tmp_path / "a.png", status=1)
    assert f"pip install 'fastdw[{extra}]'" in message


def test_too_little_memory(saved, monkeypatch, capsys):
    def load(path, **options):
        raise MemoryError

    monkeypatch.setattr(Network, "load", load)
    assert "more memory than there is" in refused(capsys, "summary", saved, status=1)


def test_an_interrupt_is_quiet(saved, monkeypatch, capsys):
    def load(path, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Network, "load", load)
    assert main(["summary", str(saved)]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_closed_pipe_is_quiet(saved):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "fastdw", "summary", str(saved)]
    process = subprocess.Popen(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 141
    assert err == ""


def test_the_library_imports_no_importer():
    code = (
        "import sys, fastdw; from fastdw import __main__\n"
        "names = {'onnx', 'h5py', 'flatbuffers', 'tflite', 'PIL', 'google'} & {*sys.modules}\n"
        "print(*names, *(n for n in sys.modules if n.startswith('fastdw.importers')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
