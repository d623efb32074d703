"""How the core is built where nobody here compiles it whole; in a checkout alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("cmake", "make", "arm-linux-gnueabihf-g++")
if not (ROOT / ".ci/cross.cmake").exists() or not all(map(shutil.which, NEEDED)):
    pytest.skip(f"needs a checkout, and {', '.join(NEEDED)}", allow_module_level=True)


@pytest.mark.parametrize(("machine", "has"), [("armv6+fp", ""), ("armv7-a+fp", "1")])
def test_atomics_of_64_bits_come_from_a_library_where_the_machine_has_none(machine, has, tmp_path):
    """As piwheels compiles for the first Raspberry Pi: without it the import would fail."""
    options = {
        "CMAKE_TOOLCHAIN_FILE": ROOT / ".ci/cross.cmake",
        "CMAKE_CXX_FLAGS": f"-march={machine} -marm",
        "FASTDW_PYTHON": "OFF",
    }
    subprocess.run(
        ["cmake", "-S", ROOT, "-B", tmp_path, "-G", "Unix Makefiles"]
        + [f"-D{name}={value}" for name, value in options.items()],
        env=os.environ | {"TRIPLE": "arm-linux-gnueabihf", "SYSROOT": str(tmp_path)},
        check=True,
        capture_output=True,
    )
    assert f"FASTDW_ATOMICS:INTERNAL={has}\n" in (tmp_path / "CMakeCache.txt").read_text()
