"""The table at the end of `.ci/run`; in a checkout alone."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import fastdw
import pytest

ROOT = Path(__file__).parents[2]
if not (ROOT / ".ci").exists() or shutil.which("bash") is None:
    pytest.skip("needs a checkout, and bash", allow_module_level=True)


def table(script):
    command = f"source .ci/checks.sh; {script}; cat $work/table"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, check=True, capture_output=True)
    return [line.split() for line in done.stdout.decode().splitlines()]


def test_an_instruction_set_that_did_not_run_is_a_row():
    rows = table("left_out 'integers: not here' 'best other plain' 'other plain'")
    assert rows == [["integers:", "not", "here", "best", "0", "0", "0", "s"]]
    (row,) = table("left_out 'not here' 'other2 other' 'best other'")
    assert "other2" in row


@pytest.mark.parametrize(("kind", "name"), [("floats", "isas"), ("integers", "isas8")])
@pytest.mark.parametrize("which", ["built", "supported"])
def test_the_instruction_sets_of_a_wheel(kind, name, which):
    path, python = shlex.quote(os.pathsep.join(sys.path)), shlex.quote(sys.executable)
    here = f'PYTHONPATH={path} exec {python} "$@"'
    script = f"mkdir -p $work/newest/bin; echo {shlex.quote(here)} >$work/newest/bin/python"
    (row,) = table(f"{script}; chmod +x $work/newest/bin/python; isas {kind} {which}; >$work/table")
    assert row == fastdw.show_config("dict")[name][which]


@pytest.mark.parametrize("script", [".ci/run", "tests/long/cpus.sh"])
def test_both_kinds_are_looked_through(script):
    text = (ROOT / script).read_text()
    for kind in ("floats", "integers"):
        assert f"isas {kind} built" in text


def test_a_failed_check_is_a_row_and_the_status():
    script = "{ check good true; check bad false; } >$work/printed"
    assert [row[:4] for row in table(script)] == [["good", "-", "1", "0"], ["bad", "-", "0", "1"]]
