"""The rules of the source tree: every line in its room, and no code leaks between them."""

import ast
import pathlib
import re
import shutil
import subprocess

import fastdw
import pytest
from fastdw import _core

ROOT = pathlib.Path(__file__).parents[2]
CPP = sorted(p for p in (ROOT / "csrc").rglob("*") if p.suffix in (".cpp", ".h", ".inc", ".inl"))
PYTHON = sorted(p for folder in ("python", "bench", "tests") for p in (ROOT / folder).rglob("*.py"))
MAX_LINES = 400

# What a line says, and the only files that may say it.
ROOMS = {
    "intrinsics": (
        r"\b_mm\d*_|\b__m(256|512)|\bv(fma|fms|ld1|st1|add|sub|mul|max|min|dup)q?_|_mm_|"
        r"(immintrin|arm_neon)\.h",
        ("simd/vec_", "simd/bytes_", "simd/halves_"),
    ),
    "Python": (r"\bpy::|pybind11|\bPy[A-Z]\w+\(", "python/"),
    # Two bodies are assembly by nature; what asks or calms the CPU itself is no kernel's.
    "assembly": (
        r"\basm\b|__asm__",
        (
            "simd/",
            "pointwise/woven_neon_inorder.h",
            "pointwise8/woven_neon.h",
            "base/",
            "dispatch.cpp",
        ),
    ),
    "compilers and machines": (
        r"__(GNUC|clang|x86_64|aarch64)__|_Pragma|#pragma (?!once)",
        (
            "simd/",
            "base/",
            "isa/dispatch.cpp",
            "isa/isas.inc",
            "isa/isas8.inc",
            "isa/isas16.inc",
            "python/module.cpp",
        ),
    ),
    "CPU and environment": (
        r"\bgetenv\b|cpuid|\bgetauxval\b|xgetbv",
        ("dispatch.cpp", "platform.cpp"),
    ),
    "Linux": (r"__linux__|\bsched_\w+\(|<sys/|\"/proc", "platform.cpp"),
    "compiler flags": (r"-m(avx|fma|sse|bmi|arch|tune|cpu)|target\(\"", ()),
    "relaxed arithmetic": (r"fast-math|_ftz|_MM_SET_FLUSH|\brcp\b|rsqrt", ()),
}


def test_the_tree_is_there():
    assert CPP
    assert PYTHON


@pytest.mark.parametrize("room", ROOMS)
def test_every_line_is_in_its_room(room):
    pattern, homes = ROOMS[room]
    homes = (homes,) if isinstance(homes, str) else homes
    strangers = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in CPP
        if not any(home in str(path.relative_to(ROOT / "csrc")) for home in homes)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line.split("//")[0])
    ]
    assert not strangers, "\n".join(strangers)


def test_machine_flags_stand_in_cmake_alone():
    pattern = ROOMS["compiler flags"][0]
    assert re.search(pattern, (ROOT / "CMakeLists.txt").read_text())
    assert not re.search(pattern, (ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("path", [*CPP, *PYTHON], ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES


def imports(path):
    """The modules that a file imports; a relative import begins with a dot."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_the_reference_stands_alone():
    files = sorted((ROOT / "python/fastdw/reference").glob("*.py"))
    names = {name for path in files for name in imports(path)}
    assert "numpy" in names
    assert not {name for name in names if name.startswith(("fastdw", ".."))}


def test_the_library_does_not_import_its_benchmark():
    for path in (ROOT / "python").rglob("*.py"):
        assert not any(name.startswith("fastdw_bench") for name in imports(path))


def test_versions_are_equal():
    metadata = (ROOT / "pyproject.toml").read_text()
    assert re.search(r'^version = "(.+)"$', metadata, re.M)[1] == fastdw.__version__
    assert _core.config()["version"] == fastdw.__version__


@pytest.mark.parametrize(
    "name", [n for n in fastdw.__all__ if n not in ("__version__", "reference")]
)
def test_public_names_are_documented(name):
    public = getattr(fastdw, name)
    assert len(public.__doc__.splitlines()) > 3
    for attribute, member in vars(public).items():
        if not attribute.startswith("_") and isinstance(member, classmethod | property):
            assert getattr(public, attribute).__doc__, attribute


def test_public_names_have_their_place_in_the_reference():
    pages = "\n".join(path.read_text() for path in (ROOT / "docs/reference").glob("*.md"))
    named = set(re.findall(r"^::: fastdw\.(\w+)$", pages, re.M))
    assert named == set(fastdw.__all__) - {"__version__"}


def test_objects_of_instruction_sets_have_no_weak_symbols():
    """A weak symbol is one that the linker may take for another file's."""
    objects = [
        o
        for isa in [*_core.config()["isas"]["built"], *_core.config16()["built"], "*8"]
        for o in ROOT.rglob(f"isa/{isa}.cpp.o")
    ]
    if not objects:
        pytest.skip("no build folder with object files here")
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm (binutils) is not installed")
    for path in objects:
        command = [nm, "--demangle", str(path)]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert not re.findall(r"^.* [WVu] .*$", names, re.M), path
