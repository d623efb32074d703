"""The tests are tested: every deliberate bug of _bugs*.py must make one of them fail.

    python tests/long/mutants.py [name ...]

Each bug is put alone into a private copy of the tree, which is built anew and tested until the
first failure, quick tests first. Prints which test catches what; ends with 1 where a bug survives,
and where the tree has changed so that a bug finds its place no more. Needs CMake, ninja, pybind11
and what the tests need. Optimisation is turned down: the same bits in less time.
"""

import argparse
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from _bugs import LAYERS
from _bugs_arm import ARM
from _bugs_calls import CALLS
from _bugs_halves import HALVES
from _bugs_integers import INTEGERS
from _bugs_networks import NETWORKS

ROOT = pathlib.Path(__file__).parents[2]
HANG = 300  # seconds without a word
# Tests that find most bugs in seconds.
FIRST = [
    "kernels/test_bits.py",
    "kernels/test_kernels_depthwise.py",
    "kernels/test_kernels_pointwise.py",
    "kernels/test_activations.py",
    "service/test_threads.py",
    "service/test_float_environment.py",
    "layers/test_remembered_calls.py",
    "kernels/test_tall_windows.py",
    "operators/test_layouts.py",
    "operators/test_operators.py",
    "operators/test_calls_in_parts.py",
    "operators/test_large.py",
    "layers/test_layers.py",
    "layers/test_halves.py",
]
# And most of those of a list.
FIRST_OF = [
    (
        CALLS,
        [
            "layers/test_remembered_calls.py",
            "operators/test_calls_in_parts.py",
            "service/test_threads.py",
            "service/test_float_environment.py",
            "service/test_interrupts.py",
            "service/test_allocation_failure.py",
            "service/test_services.py",
        ],
    ),
    (HALVES, ["layers/test_halves.py"]),
    (
        NETWORKS,
        [
            "networks/test_expanded.py",
            "networks/test_inverted.py",
            "networks/test_lower.py",
            "networks/test_steps.py",
            "networks/test_network.py",
        ],
    ),
    (
        INTEGERS,
        [
            "layers/test_quantized_layers.py",
            "layers/test_quantized_inverted.py",
            "layers/test_quantized_conduct.py",
            "layers/test_remembered_calls8.py",
            "operators/test_quantization.py",
            "networks/test_lower.py",
            "networks/test_terms.py",
            "importers/test_tflite_kept.py",
            "importers/test_onnx_kept.py",
            "importers/test_tflite_nine_bits.py",
            "importers/test_tflite_integers.py",
        ],
    ),
]


def sh(*command, **options):
    return subprocess.run(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )


class Copy:
    """A private copy of the tree, its build, and its tests."""

    def __init__(self, folder):
        self.tree, self.build = folder / "tree", folder / "build"
        ignored = shutil.ignore_patterns(".*", "build", "long")
        shutil.copytree(ROOT, self.tree, ignore=ignored)
        cmake = self.tree / "CMakeLists.txt"
        cmake.write_text(cmake.read_text().replace('"-O3;', '"-O1;'))
        version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
        pybind11 = sh(sys.executable, "-m", "pybind11", "--cmakedir").stdout.strip()
        done = sh(
            "cmake", "-S", self.tree, "-B", self.build, "-G", "Ninja", f"-Dpybind11_DIR={pybind11}",
            f"-DPython_EXECUTABLE={sys.executable}", f"-DSKBUILD_PROJECT_VERSION={version}",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout

    def compile(self):
        done = sh("ninja", "-C", self.build)
        for module in self.build.glob("_core*.so"):
            shutil.copy(module, self.tree / "python/fastdw")
        return done

    def tests(self, first, *options):
        """The test that fails first, or None; and what was printed."""
        tests = self.tree / "tests"
        files = [tests / name for name in dict.fromkeys([*first, *FIRST])]
        # Machine code is judged as the release optimises it, and those of the house look at the
        # tree: a link to what is not copied is no find.
        others = set(tests.rglob("test_*.py")) - {*files, tests / "kernels/test_machine_code.py"}
        others -= set((tests / "house").iterdir())
        files += sorted(others, key=lambda path: (path.parent.name == "bench", path))
        command = [sys.executable, "-m", "pytest", "-x", "-v", "-p", "no:cacheprovider"]
        command += [*options, *files]
        path = f"{self.tree / 'python'}{os.pathsep}{self.tree / 'bench'}"
        environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        environment["PYTHONUNBUFFERED"] = "1"  # a crash would lose the name of its test
        status, text = self._until_it_hangs(command, environment)
        if status == 0:
            return None, text
        # A crash or a hang leaves no summary: then it is the last test that was begun.
        named = re.findall(r"^(?:FAILED|ERROR) (\S+)", text, re.M)
        begun = re.findall(r"^(\S+::\S+.*?)(?: (?:PASSED|SKIPPED).*)?$", text, re.M)
        kind = "hang" if status == -signal.SIGKILL else "crash"
        return (named or [f"{kind} in {begun[-1]}" if begun else f"{kind} ({status})"])[0], text

    def _until_it_hangs(self, command, environment):
        """The exit status of tests, and what they print; a slow machine alone ends none."""
        said = self.build / "said"
        with said.open("w") as file:
            tests = subprocess.Popen(
                command, cwd=self.tree, env=environment, stdout=file, stderr=subprocess.STDOUT
            )
            while tests.poll() is None:
                time.sleep(0.2)
                if time.time() - said.stat().st_mtime > HANG:
                    tests.kill()
        return tests.returncode, said.read_text()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="name", help="which bugs; the default is all")
    names = parser.parse_args().names
    # A shell's background job ignores interrupts, and so would its tests, some of which need them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    everything = (*LAYERS, *CALLS, *HALVES, *NETWORKS, *INTEGERS)
    if platform.machine() == "aarch64":
        everything = ARM
    chosen = [m for m in everything if not names or m.name in names]
    lost = [m for m in chosen if (ROOT / m.file).read_text().count(m.old) != 1]
    for mutant in lost:
        print(f"no place in {mutant.file}: {mutant.name}")

    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(pathlib.Path(folder))
        built = copy.compile()
        assert built.returncode == 0, built.stdout
        # For a few bugs it is enough that all tests can be read.
        failed, text = copy.tests([], *(["--collect-only"] if names else []))
        assert failed is None, f"without a bug: {text[-3000:]}"
        for mutant in (m for m in chosen if m not in lost):
            start, path = time.monotonic(), copy.tree / mutant.file
            sound = path.read_text()
            path.write_text(sound.replace(mutant.old, mutant.new))
            built = copy.compile()
            first = [name for bugs, names in FIRST_OF if mutant in bugs for name in names]
            caught = "the compiler" if built.returncode else copy.tests(first)[0]
            path.write_text(sound)
            survivors += caught is None
            print(
                f"{mutant.name:50} {time.monotonic() - start:5.0f} s  {caught or 'SURVIVES'}",
                flush=True,
            )
    print(f"{len(chosen)} bugs, {survivors} survive, {len(lost)} without a place")
    return 1 if survivors or lost else 0


if __name__ == "__main__":
    sys.exit(main())
