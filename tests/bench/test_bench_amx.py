"""AMX is refused to a process, and what is said of it."""

import errno
import subprocess
import sys

import pytest
from fastdw_bench import amx, machine
from fastdw_bench.__main__ import main

pytestmark = pytest.mark.skipif(not amx._is_x86(), reason="another CPU than x86")

# A thread that runs already is refused it too, and so is a program that is started later.
_ASKS = """
import ctypes, subprocess, sys, threading
sys.path[:0] = {path!r}
from fastdw_bench import amx

def ask():
    failed = amx._call(158, 0x1023, 18)
    return ctypes.get_errno() if failed else 0

begin, answers = threading.Event(), []
thread = threading.Thread(target=lambda: (begin.wait(), answers.append(ask())))
thread.start()
if sys.argv[1:] == ["refuse"]:
    print(amx.state(["amx_tile"]))
    amx.refuse()
    amx.refuse()
begin.set()
thread.join()
print(amx.state(["amx_tile"]), ask(), *answers)
if sys.argv[1:] == ["refuse"]:
    subprocess.run([sys.executable, __file__], check=True)
"""


def test_the_kernel_refuses_it(tmp_path):
    script = tmp_path / "asks.py"
    script.write_text(_ASKS.format(path=sys.path))
    result = subprocess.run(
        [sys.executable, script, "refuse"], capture_output=True, text=True, check=False
    )
    if "takes no filter" in result.stderr:
        pytest.skip("no filter of system calls can be made here")
    refused = f"refused {errno.EPERM} {errno.EPERM}"
    assert result.stdout.splitlines() == ["open", refused, refused], result.stderr


def test_cpus_without_it():
    assert amx.state(["avx512f"]) == "not there"


@pytest.mark.parametrize("state", ["open", "not there"])
def test_it_is_refused_where_it_is(state, monkeypatch, capsys):
    refused = []
    monkeypatch.setattr(amx, "state", lambda extensions: "refused" if refused else state)
    monkeypatch.setattr(amx, "refuse", lambda: refused.append(True))
    quick = ["--repetitions", "1", "--min-time", "1e-6", "--no-limits", "--peers", "none"]
    assert main(["run", "--layer", "4x4x4,f4", "--no-amx", *quick]) == 0
    assert f"; AMX {'refused' if state == 'open' else state}\n" in capsys.readouterr().out
    assert refused == [True] * (state == "open")


def test_the_machine_says_it():
    assert machine.describe()["amx"] in ("not there", "open", "refused")
