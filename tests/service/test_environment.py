"""The process around the library: its environment, imports, exit, and cgroups.

All but the last tests start interpreters of their own: on the CPU as it is, or by the command in
FASTDW_TEST_PYTHON, an emulator's for one.
"""

import os
import shlex
import subprocess
import sys
import sysconfig

import pytest
from fastdw import _core

ISAS, ISAS8 = _core.config()["isas"], _core.config8()
INTERPRETER = shlex.split(os.environ.get("FASTDW_TEST_PYTHON", "")) or [sys.executable]


def python(code, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FASTDW_", "OMP_"))}
    return subprocess.run(
        [*INTERPRETER, "-W", "error", "-c", code],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def output(code, **environment):
    done = python(code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


ACTIVE = "import fastdw; print(fastdw.show_config(mode='dict')['isas']['active'])"
ACTIVE8 = ACTIVE.replace("isas", "isas8")
THREADS = "import fastdw; print(fastdw.get_num_threads())"


@pytest.mark.parametrize("name", ISAS["supported"])
def test_isa_of_the_environment(name):
    assert output(ACTIVE, FASTDW_ISA=name) == [name]
    assert output(ACTIVE, FASTDW_ISA=name.upper()) == [name]


def test_the_best_isa_is_the_default():
    assert output(ACTIVE) == output(ACTIVE, FASTDW_ISA="") == [ISAS["supported"][0]]
    order = [name for name in ISAS["built"] if name in ISAS["supported"]]
    assert ISAS["supported"] == order
    assert ISAS["built"][-1] == "scalar"


@pytest.mark.parametrize(
    "name",
    [
        "sse9",
        "avx",
        "avx2,scalar",
        *(
            pytest.param(name, marks=pytest.mark.emulated)
            for name in ("avx512", "avx2", "neon", "neon_inorder")
            if name not in ISAS["supported"]
        ),
    ],
)
def test_isa_that_is_not_there(name):
    done = python(ACTIVE, FASTDW_ISA=name)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError")
    assert name in last
    for there in (*ISAS["built"], *ISAS["supported"]):
        assert there in last


@pytest.mark.emulated
@pytest.mark.parametrize("name", ISAS8["supported"])
def test_isa8_of_the_environment(name):
    assert output(ACTIVE8, FASTDW_ISA8=name.upper()) == [name]


@pytest.mark.emulated
def test_the_best_isa8_is_the_default():
    assert output(ACTIVE8, FASTDW_ISA8="") == [ISAS8["supported"][0]]
    for name in ISAS["supported"]:
        assert (output(ACTIVE8, FASTDW_ISA=name) == ["scalar"]) == (name == "scalar")


@pytest.mark.parametrize("name", ["sse9", *{*ISAS8["built"]} - {*ISAS8["supported"]}])
def test_isa8_that_is_not_there(name):
    done = python(ACTIVE8, FASTDW_ISA8=name)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"RuntimeError: FASTDW_ISA8 is '{name}'")
    for there in (*ISAS8["built"], *ISAS8["supported"]):
        assert there in last


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"FASTDW_NUM_THREADS": "3"}, 3),
        ({"FASTDW_NUM_THREADS": "1024"}, 1024),
        ({"FASTDW_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"FASTDW_NUM_THREADS": "", "OMP_NUM_THREADS": "6"}, 6),
        ({"OMP_NUM_THREADS": "many"}, _core.available_cpus()),
        ({"OMP_NUM_THREADS": "0"}, _core.available_cpus()),
        ({}, _core.available_cpus()),
    ],
    ids=str,
)
def test_threads_of_the_environment(environment, threads):
    assert output(THREADS, **environment) == [str(threads)]


@pytest.mark.skipif(sys.platform != "linux", reason="needs variables of any bytes")
@pytest.mark.parametrize("variable", ["FASTDW_ISA", "FASTDW_NUM_THREADS"])
@pytest.mark.parametrize("text", ["\udcff", "2\udc80", "\x01"])
def test_variables_of_any_bytes(variable, text):
    done = python(THREADS, **{variable: text})
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError")
    assert variable in last
    assert output(THREADS, OMP_NUM_THREADS=text) == [str(_core.available_cpus())]


@pytest.mark.parametrize("text", ["0", "-1", "1025", "2.0", "many", " ", "4,2", "1e2"])
def test_threads_that_are_no_number(text):
    done = python(THREADS, FASTDW_NUM_THREADS=text)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError")
    assert "FASTDW_NUM_THREADS" in last
    assert repr(text) in last


def test_import_brings_nothing_but_numpy_and_starts_no_thread():
    code = (
        "import os, sys, numpy; before = {*sys.modules}; tasks = '/proc/self/task';"
        "count = lambda: len(os.listdir(tasks)) if os.path.isdir(tasks) else 0; threads = count();"
        "import fastdw; assert count() == threads;"
        "new = {name.split('.')[0] for name in {*sys.modules} - before};"
        "print(*sorted(new - {*sys.stdlib_module_names, 'fastdw', 'numpy'}))"
    )
    assert output(code) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL for ever"
)
def test_import_leaves_the_gil_off():
    code = "import fastdw, sys; from fastdw import Network; print(sys._is_gil_enabled())"
    assert output(code) == ["False"]


def test_one_thread_starts_none():
    code = (
        "import os, numpy as np; before = len(os.listdir('/proc/self/task')); import fastdw\n"
        "x, taps = np.ones((4, 99, 99, 32), np.float32), np.ones((3, 3, 32), np.float32)\n"
        "mixer = np.ones((32, 64), np.float32)\n"
        "for _ in range(3):\n"
        "    fastdw.separable_conv2d(x, taps, mixer, num_threads=1)\n"
        "    with fastdw.threads(1):\n"
        "        fastdw.separable_conv2d(x, taps, mixer)\n"
        "print(len(os.listdir('/proc/self/task')) - before, end=' ')\n"
        "fastdw.separable_conv2d(x, taps, mixer, num_threads=4)\n"
        "print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    assert output(code) == ["0", "3"]


def test_daemon_threads_do_not_disturb_the_exit():
    code = (
        "import threading, numpy as np, fastdw\n"
        "layer = fastdw.DepthwiseConv2D(np.ones((3, 3, 32), np.float32), padding='same')\n"
        "x = np.ones((1, 64, 64, 32), np.float32)\n"
        "def loop():\n"
        "    while True:\n"
        "        layer(x, num_threads=2)\n"
        "for _ in range(3):\n"
        "    threading.Thread(target=loop, daemon=True).start()\n"
        "layer(x)\n"
    )
    for _ in range(5):
        done = python(code)
        assert (done.returncode, done.stderr) == (0, "")


def test_subnormals_stay_alive():
    code = (
        "import numpy as np, fastdw\n"
        "x = np.full((1, 64, 64, 8), 1e-40, np.float32)\n"
        "y = fastdw.depthwise_conv2d(x, np.ones((1, 1, 8), np.float32), num_threads=3)\n"
        "assert (y == x).all() and (x * np.float32(1) == x).all() and x.all()\n"
    )
    assert output(code) == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_the_affinity_mask_bounds_the_threads():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});" + THREADS
    assert output(code) == ["1"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "5000 100000"}, 1),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "9999999999 100000"}, None),
        ({"cpu.max": "garbage"}, None),
        ({"cpu.max": ""}, None),
        ({"cpu.max": "-1 0"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_cgroup_quota_bounds_the_threads(tmp_path, files, cpus):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    most = len(os.sched_getaffinity(0))
    assert _core.available_cpus(str(tmp_path)) == (most if cpus is None else min(cpus, most))


def show_cores(root, ids):
    """Lay out the files in which Linux shows MIDR_EL1, one core each."""
    for number, text in enumerate(ids):
        folder = root / f"cpu{number}/regs/identification"
        folder.mkdir(parents=True)
        (folder / "midr_el1").write_text(text + "\n")


A53, A55, A72, A76 = "410fd034", "411fd050", "410fd083", "414fd0b1"


@pytest.mark.emulated
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize(
    ("ids", "in_order"),
    [
        ([f"0x00000000{A53}"] * 4, True),
        ([f"0x00000000{A55}"] * 12, True),
        ([f"0x00000000{A53}", f"0x00000000{A55}"], True),
        ([f"0x00000000{A53}"] * 4 + [f"0x00000000{A72}"] * 2, False),
        ([f"0x00000000{A76}"] + [f"0x00000000{A55}"] * 3, False),
        ([f"0x00000000{A72}"], False),
        (["0x00000000510fd034"], False),  # the part number of another implementer
        ([f"0x00000000{A53}", ""], False),
        (["garbage"], False),
    ],
    ids=str,
)
def test_cores_in_order_by_their_identification(tmp_path, ids, in_order):
    show_cores(tmp_path, ids)
    assert _core.in_order_cores(str(tmp_path)) is in_order


@pytest.mark.emulated
@pytest.mark.skipif("neon" not in ISAS["supported"], reason="needs NEON")
def test_in_order_cores_get_their_kernels():
    first, second = ("neon_inorder", "neon") if _core.in_order_cores() else ("neon", "neon_inorder")
    assert ISAS["supported"] == [first, second, "scalar"]
