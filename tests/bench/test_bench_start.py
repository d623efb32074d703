"""`fastdw-bench start`: fresh processes to a first answer. Nothing here judges speed."""

import fastdw
import numpy as np
import pytest
from fastdw_bench.__main__ import main


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.fdw"
    x = fastdw.Input((4, 5, 3))
    fastdw.Network(x, fastdw.PointwiseConv2D(np.ones((3, 2), np.float32))(x)).save(path)
    return path


def test_a_line_for_each_number_of_threads(saved, capsys):
    assert main(["start", str(saved), "--threads", "1,2", "--repetitions", "2"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["network", "engine", "threads"]
    assert [line.split()[:3] for line in lines[-2:]] == [
        ["net.fdw", "fastdw", "1"],
        ["net.fdw", "fastdw", "2"],
    ]
    *parts, total, least, memory = map(float, lines[-1].split()[3:])
    assert len(parts) == 3
    assert 0 < least <= total
    assert 10 < memory < 500  # with Python and NumPy


@pytest.mark.parametrize(("name", "engine"), [("a.tflite", "litert"), ("a.onnx", "onnxruntime")])
def test_an_engine_that_is_missing_is_named_with_its_cure(name, engine, monkeypatch, capsys):
    monkeypatch.setattr("fastdw_bench.peers.missing", lambda name: [f"{name}-package"])
    with pytest.raises(SystemExit):
        main(["start", name])
    error = capsys.readouterr().err
    assert f"not installed: pip install {engine}-package" in error
    assert "fastdw convert" in error


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("net.txt", "", "must end in one of"),
        ("net.fdw", "no network", "net.fdw: ValueError: net.fdw: not a network"),
        ("none.fdw", None, "none.fdw: FileNotFoundError"),
    ],
)
def test_files_that_no_engine_reads(tmp_path, capsys, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(SystemExit):
        main(["start", str(path), "--repetitions", "1"])
    assert message in capsys.readouterr().err
