"""Every word of Vec, Bytes and Halves alone, against plain C++: programs that a compiler makes."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from fastdw import _core

ROOT = pathlib.Path(__file__).parents[2]
SIMD = ROOT / "csrc/simd"
CPU = pathlib.Path("/proc/cpuinfo")
WORD = re.compile(r"^FASTDW_WORD(?:_(AVX512|NEON))?\((\w+),", re.M)
# What a header of Vec declares, and its name.
DECLARED = re.compile(r"^( *(?:static )?FASTDW_INLINE .*?\b(\w+)\(.*)$", re.M)
# The families of words that a set of Bytes has, and their list.
FAMILY8 = re.compile(r"^#define ([A-Z]+)_(\w+) 1$", re.M)
LISTED8 = re.compile(r"^FASTDW_(?:WORD|NAME)8\((\w+), (\w+),", re.M)
# The struct of a header of Bytes, with its base; what is private in it; what it declares.
BYTES = re.compile(r"^struct Bytes(?: : (\w+)::Bytes)? \{\n(.*?)^\};", re.M | re.S)
PRIVATE = re.compile(r"^   private:\n.*?(?=^  \};)|^ private:\n.*", re.M | re.S)
MEMBER = re.compile(
    r"^(?:  |    )(?!return)\w[\w:<>,&* ]* (\w+)\(.*[{},]$|^ +(?:using|struct|const bool) (\w+)",
    re.M,
)
CONSTANTS = re.compile(r"^ +static constexpr (.*);$", re.M)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder of the programs, one for each set that has a Vec of its own, or Bytes."""
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
    run_alone(program)


def test_every_word_of_bytes_does_what_it_says(isa8, programs):
    # Built with FASTDW_EVEX_DOTS, that set runs where its own encoding does not.
    if isa8 == "avxvnni" and CPU.exists() and "avx_vnni" not in CPU.read_text():
        pytest.skip("this CPU has AVX-VNNI's instruction in the encoding of AVX-512 alone")
    run_alone(programs / f"words8_{isa8}")


def test_every_word_of_halves_does_what_it_says(isa16, programs):
    run_alone(programs / f"words16_{isa16}")


def test_words_of_avxvnni_do_what_they_say_in_the_encoding_of_avx512(programs):
    """Few CPUs have AVX-VNNI; all else of that set is the same."""
    isas = _core.config8()
    if "avxvnni" not in isas["built"] or "avx512vnni" not in isas["supported"]:
        pytest.skip("needs AVX-512 VNNI, and a compiler that knows AVX-VNNI")
    run_alone(programs / "words8_avxvnni_evex")


def run_alone(program):
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


def bytes_of(isa):
    """The names that a header of Bytes makes public, and those that it inherits."""
    text = re.sub(r" *//.*", "", (SIMD / f"bytes_{isa}.h").read_text())
    base, body = BYTES.search(text).groups()
    body = PRIVATE.sub("", body)
    own = {function or other for function, other in MEMBER.findall(body)}
    own.update(*(re.findall(r"(\w+) =", line) for line in CONSTANTS.findall(body)))
    return own, set().union(*bytes_of(base)) if base else set()


@pytest.mark.parametrize("header", sorted(SIMD.glob("bytes_*.h")), ids=lambda p: p.name)
def test_words_of_bytes_are_those_that_are_listed(header):
    """What a set inherits beside them has its meaning in the list of the other set."""
    isa = header.stem.removeprefix("bytes_")
    families = FAMILY8.findall((ROOT / "tests/kernels/words8.cpp").read_text())
    having = {"ALL"} | {family for family, owner in families if owner == isa}
    listed = {
        name
        for family, name in LISTED8.findall((SIMD / "words8.inc").read_text())
        if family in having
    }
    own, inherited = bytes_of(isa)
    assert own - listed == set()
    assert listed - own - inherited == set()


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
