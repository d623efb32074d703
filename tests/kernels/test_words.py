"""Every word of Vec alone, against plain C++: programs that need a compiler and CMake."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SIMD = ROOT / "csrc/simd"
WORD = re.compile(r"^FASTDW_WORD(?:_(AVX512|NEON))?\((\w+),", re.M)
# What a header of Vec declares, and its name.
DECLARED = re.compile(r"^( *(?:static )?FASTDW_INLINE .*?\b(\w+)\(.*)$", re.M)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder of the programs, one for each instruction set with a Vec of its own."""
    compiler = os.environ.get("CXX", "c++").split()[0]
    if not (shutil.which("cmake") and shutil.which(compiler)):
        pytest.skip("needs CMake and a C++ compiler")
    build = tmp_path_factory.mktemp("words")
    for command in (
        ["cmake", "-S", ROOT / "tests/kernels", "-B", build, "-DFASTDW_WERROR=ON"],
        ["cmake", "--build", build, "--parallel", "2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return build


def test_every_word_does_what_it_says(isa, programs):
    program = programs / f"words_{isa}"
    if not program.exists():
        assert not (SIMD / f"vec_{isa}.h").exists()
        pytest.skip(f"{isa} has another set's Vec")
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def words(isa):
    """The words that a set has, as words.inc lists them."""
    listed = WORD.findall((SIMD / "words.inc").read_text())
    return {name for owner, name in listed if owner.lower() in ("", isa)}


@pytest.mark.parametrize("header", sorted(SIMD.glob("vec_*.h")), ids=lambda p: p.name)
def test_every_word_is_listed(header):
    """So that none is without a meaning, and none without a test."""
    text = re.sub(r"//.*", "", header.read_text())
    # Members, and functions that take or give a Vec: helpers see none.
    declared = {
        name
        for line, name in DECLARED.findall(text)
        if (line.startswith(" ") or "Vec" in line) and name != "operator"
    }
    assert len(declared) > 15
    assert declared <= words(header.stem.removeprefix("vec_"))


def test_no_kernel_has_a_function_named_like_a_word():
    """Else overload resolution would choose between the two without a word."""
    every = {name for _, name in WORD.findall((SIMD / "words.inc").read_text())}
    functions = {
        name
        for path in (ROOT / "csrc/kernels").rglob("*.h")
        for name in re.findall(r"^(?!//|#|using )\w[\w:<>,*& ]*?\b(\w+)\(", path.read_text(), re.M)
    }
    assert {"times_power_of_two", "sigmoid", "multiply_and_fetch"} <= functions
    assert not functions & every
