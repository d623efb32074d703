"""bench/callers.py, which stands beside the package; in a checkout alone."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bench/callers.py"
if not SCRIPT.exists():
    pytest.skip("needs a checkout: bench/callers.py", allow_module_level=True)


def test_threads_and_processes_are_measured():
    command = [sys.executable, SCRIPT, "--seconds", "0.02"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    assert rows[2][0] == "| 1"
    assert len(rows) == 7
    assert all(float(row[2]) > 0 for row in rows[2:])
