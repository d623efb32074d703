"""The code in README.md and in docs/ runs, page by page, from top to bottom."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if "```python" in page.read_text()
)
OPTIONAL = ("keras", "torch")


def code(page):
    """The Python of a page, its lines where they stand, so that errors name them."""
    kept, inside = [], False
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            inside = line == "```python"
            line = ""
        kept.append(line if inside else "")
    return "\n".join(kept)


def test_pages_with_code_are_found():
    assert ROOT / "README.md" in PAGES


@pytest.fixture
def tflite_files(tmp_path, monkeypatch):
    """net.tflite and net_int8.tflite in the folder where the code runs: 96 x 96 x 3 in, a stem
    and a block."""
    pytest.importorskip("tflite")
    monkeypatch.syspath_prepend(ROOT / "tests/importers")
    from tflite_models import Quantised, conv, depthwise, model

    g = np.random.default_rng(0)
    shapes = {"stem": (8, 3, 3, 3), "w": (1, 3, 3, 8), "p": (16, 1, 1, 8), "b": (8,), "c": (16,)}
    weights = {name: g.standard_normal(s).astype(np.float32) for name, s in shapes.items()}
    nodes = [
        conv("x stem b", "h", strides=(2, 2)),
        depthwise("h w b", "d"),
        conv("d p c", "y"),
    ]
    (tmp_path / "net.tflite").write_bytes(model(nodes, x=(1, 96, 96, 3), **weights))
    whole = {
        name: Quantised(0.02, numbers=g.integers(-127, 128, shape).astype(np.int8))
        if len(shape) == 4
        else Quantised(0.02, dtype="int32", numbers=np.zeros(shape, np.int32))
        for name, shape in shapes.items()
    }
    values = dict.fromkeys("xhdy", Quantised(1 / 32, -3))
    data = model(nodes, x=(1, 96, 96, 3), quantised=values, **whole)
    (tmp_path / "net_int8.tflite").write_bytes(data)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_code_runs(page, tmp_path, request):
    source = code(page)
    if ".tflite" in source:
        request.getfixturevalue("tflite_files")
    for package in OPTIONAL:
        if f"import {package}" in source:
            done = subprocess.run([sys.executable, "-c", f"import {package}"], capture_output=True)
            if done.returncode:
                pytest.skip(f"{package} cannot be imported here")
    done = subprocess.run(
        [sys.executable, "-c", f"exec(compile({source!r}, {str(page)!r}, 'exec'))"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 100
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


@pytest.mark.skipif(not (ROOT / ".ci/run").exists(), reason="needs a checkout: .ci/run")
def test_commands_that_ci_runs_stand_in_the_readme():
    commands = re.findall(r"^beside \"README.* '(.+)'$", (ROOT / ".ci/run").read_text(), re.M)
    assert len(commands) == 2
    assert all(command in (ROOT / "README.md").read_text() for command in commands)


def test_measured_claims_name_files_that_exist():
    claims = (ROOT / "docs/tuning.md").read_text()
    files = set(re.findall(r"\| `([\w/]+\.\w+)` \|", claims))
    assert len(files) > 10
    homes = (ROOT / "csrc", ROOT)
    assert not [file for file in files if not any((home / file).exists() for home in homes)]
