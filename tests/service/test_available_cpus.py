"""How many threads a call takes by default: what affinity and cgroups leave to the process."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from fastdw import _core

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("FASTDW_", "OMP_"))}

AVAILABLE = "from fastdw import _core; print(_core.available_cpus(sys.argv[1]))"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize(
    ("own", "quotas", "limited"),
    [
        ("0::/a/b", {"a/b": "50000 100000"}, True),
        ("0::/a/b", {"a": "50000 100000", "a/b": "max 100000"}, True),
        ("0::/a/b", {"": "50000 100000", "a/b": "900000 100000"}, True),
        ("0::/a/b", {"a/c": "50000 100000", "a/b/c": "50000 100000"}, False),
        ("0::/a/b", {"a": "max 100000", "a/b": "garbage"}, False),
        ("4:cpu:/v1\n0::/a", {"a": "50000 100000"}, True),
        ("0::/../../a", {"a": "max 100000"}, False),
        ("garbage", {"": "50000 100000"}, True),
        ("", {"": "max 100000"}, False),
    ],
    ids=str,
)
def test_quotas_of_nested_cgroups(tmp_path, own, quotas, limited):
    lie = tmp_path / "cgroup-of-the-process"
    lie.write_text(own + "\n")
    for folder, quota in quotas.items():
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "cpu.max").write_text(quota + "\n")
    # Only a process that may mount can be given another /proc/self/cgroup.
    mount = f'mount --bind "{lie}" /proc/$$/cgroup && exec "$@"'
    private = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount")
    done = subprocess.run(
        [*private, sys.executable, "-c", "import sys;" + AVAILABLE, tmp_path],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    cpus = _core.available_cpus(str(tmp_path / "nothing"))
    assert int(done.stdout) == (1 if limited else cpus)


@pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset")
def test_taskset_bounds_the_threads():
    cpu = min(os.sched_getaffinity(0))
    code = (
        "import fastdw, json; config = fastdw.show_config(mode='dict');"
        "print(json.dumps([fastdw.get_num_threads(), config['threads']]))"
    )
    done = subprocess.run(
        ["taskset", "-c", str(cpu), sys.executable, "-c", code],
        env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert json.loads(done.stdout) == [1, 1]
