"""Deliberate bugs, which long checks plant, find the lines that they are for."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONG = ROOT / "tests" / "long"


def bugs():
    sys.path.insert(0, str(LONG))
    try:
        for path in sorted(LONG.glob("_bugs*.py")):
            module = importlib.import_module(path.stem)
            for value in vars(module).values():
                if isinstance(value, list) and value and isinstance(value[0], module.Mutant):
                    yield from value
    finally:
        sys.path.remove(str(LONG))


@pytest.mark.parametrize("bug", [*bugs()], ids=lambda bug: bug.name)
def test_a_bug_finds_its_place_once(bug):
    assert (ROOT / bug.file).read_text().count(bug.old) == 1
