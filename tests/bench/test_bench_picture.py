"""The picture of README.md is what its command draws today; in a checkout alone."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "bench/results/networks").glob("*float32.json"))
if not RESULTS:
    pytest.skip("needs a checkout: bench/results", allow_module_level=True)


def test_the_picture_is_that_of_the_newest_result():
    drawn = runpy.run_path(str(ROOT / "bench/picture.py"))["drawn"]
    assert (ROOT / "docs/speed.svg").read_text(encoding="utf-8") == drawn(RESULTS[-1])
