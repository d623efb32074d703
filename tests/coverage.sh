#!/usr/bin/env bash
# Which lines of Python and of C++ the tests run; in a virtual environment, with options for pytest:
#   pip install coverage gcovr && bash tests/coverage.sh
# `nox -s coverage` does both. Processes that end by os._exit or a signal leave no trace of C++.
set -euo pipefail
cd "$(dirname "$0")/.."
# Outside the tree, where a test looks for objects to judge: these are not what the release has.
build=${XDG_CACHE_HOME:-$HOME/.cache}/fastdw-coverage
mkdir -p "$build"
rm -f .coverage .coverage.*
find "$build" -name "*.gcda" -delete

pip install --quiet ".[test]" -Cbuild-dir="$build" -Ccmake.define.CMAKE_CXX_FLAGS="--coverage -fprofile-update=atomic"
status=0
coverage run -m pytest -q "$@" || status=$?
coverage combine --quiet
coverage report
gcovr --root . --filter csrc/ --gcov-ignore-parse-errors=negative_hits.warn --sort uncovered-number "$build"
exit "$status"
