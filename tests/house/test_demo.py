"""The demo: its network reads digits, agrees with its twin, draws, and fails when it should."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fastdw import Network
from fastdw.demo import __main__ as demo
from fastdw.demo import network

DATA = Path(network.__file__).parent


def test_it_reads_digits_and_agrees_with_the_reference(capsys):
    assert demo.main([]) == 0
    printed = capsys.readouterr().out
    right, of = map(int, re.search(r"(\d+) of (\d+) held-out digits right", printed).groups())
    same = int(re.search(r"(\d+) of \d+ answers", printed).group(1))
    assert right >= 0.97 * of
    assert same == of == 450
    assert float(re.search(r"within (\S+)", printed).group(1)) < 1e-4


def test_both_networks_give_these_numbers_without_the_demo():
    weights, (images, labels) = network.load()
    x = network.as_input(images)
    logits = network.DigitNetwork(weights)(x)
    expected = network.DigitNetwork(weights, network.REFERENCE)(x)
    assert logits.dtype == np.float32
    assert expected.dtype == np.float64
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
    assert np.mean(logits.argmax(axis=1) == labels) >= 0.97


@pytest.mark.parametrize(
    ("name", "value"),
    [("LEAST_ACCURACY", 1.01), ("LARGEST_DIFFERENCE", 0.0), ("LARGEST_DIFFERENCE", np.nan)],
)
def test_the_exit_code_tells_a_miss(monkeypatch, name, value):
    monkeypatch.setattr(demo, name, value)
    assert demo.main([]) == 1


def test_a_wrong_answer_is_a_miss(monkeypatch):
    weights, (images, labels) = network.load()
    wrong = network.HeldOut(images, (labels + 1) % 10)
    monkeypatch.setattr(demo, "load", lambda: (weights, wrong))
    assert demo.main([]) == 1


@pytest.mark.parametrize("digit", ["-1", "450", "x"])
def test_no_such_digit(capsys, digit):
    with pytest.raises(SystemExit, match="2"):
        demo.main(["--digit", digit])
    assert "--digit" in capsys.readouterr().err


def test_a_closed_pipe_is_no_traceback():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "fastdw.demo"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_plot(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    file = tmp_path / "maps.png"
    assert demo.main(["--digit", "3", "--plot", str(file)]) == 0
    assert file.read_bytes().startswith(b"\x89PNG")
    assert str(file) in capsys.readouterr().out


def test_plot_in_no_known_format(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(SystemExit, match=r"--plot: .*nonsense"):
        demo.main(["--plot", str(tmp_path / "maps.nonsense")])


@pytest.mark.parametrize("name", ["maps", "v1.0/maps", ".png", "."])
def test_plot_without_a_suffix(name, capsys):
    with pytest.raises(SystemExit, match="2"):
        demo.main(["--plot", name])
    assert f"--plot must end in .png, .svg or .pdf, got {name}" in capsys.readouterr().err


def test_plot_without_matplotlib(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match="2"):
        demo.main(["--plot", str(tmp_path / "maps.png")])
    assert "pip install 'fastdw[plot]'" in capsys.readouterr().err


def test_it_needs_numpy_only():
    code = (
        "import sys; from fastdw.demo.__main__ import main; main([]);"
        "sys.exit(any(name in sys.modules for name in ('matplotlib', 'sklearn', 'torch')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_file_is_small_and_says_where_it_comes_from():
    assert network.FILE.stat().st_size < 100_000
    note = (DATA / "digits.txt").read_text(encoding="utf-8")
    for said in ("CC BY 4.0", "UCI Machine Learning Repository", "scikit-learn", "BSD 3-Clause"):
        assert said in note


def test_the_held_out_images_are_those_that_training_leaves_out():
    pytest.importorskip("torch")
    datasets = pytest.importorskip("sklearn.datasets")
    from fastdw.demo.train import split

    digits = datasets.load_digits()
    _, images, _, labels = split(digits.images.astype(np.uint8), digits.target.astype(np.uint8))
    _, held_out = network.load()
    np.testing.assert_array_equal(held_out.images, images)
    np.testing.assert_array_equal(held_out.labels, labels)


def test_the_whole_network_gives_the_bits_of_its_layers(tmp_path):
    weights, (images, _) = network.load()
    x, whole = network.as_input(images), network.whole()
    wanted = network.DigitNetwork(weights)(x)
    np.testing.assert_array_equal(whole(x), wanted)
    whole.save(tmp_path / "digits.fdw")
    np.testing.assert_array_equal(Network.load(tmp_path / "digits.fdw")(x), wanted)
    assert whole.num_parameters < 20_000
