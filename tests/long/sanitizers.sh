#!/usr/bin/env bash
# The core under Clang's sanitizers and valgrind, without a suppression. Ends with an error at the first find.
#   bash tests/long/sanitizers.sh suite [pytest arguments]   the tests, with AddressSanitizer and UBSan
#   bash tests/long/sanitizers.sh hostile [arguments]        hostile_files.py, likewise
#   bash tests/long/sanitizers.sh fuzz [seconds]             fuzz_core.cpp, likewise
#   bash tests/long/sanitizers.sh blocks [seconds]           blocks.cpp, likewise
#   bash tests/long/sanitizers.sh threads [seconds]          stress_tsan.cpp, with ThreadSanitizer
#   bash tests/long/sanitizers.sh valgrind                   memcheck over what fuzz has gathered
# Needs clang with its runtime libraries, cmake, ninja, pybind11, what the tests need, and valgrind.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
work=$(realpath -m "${FASTDW_LONG_BUILD:-$root/build/long}")
python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)')
corpus=$work/corpus
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/pyproject.toml")

# build FOLDER TARGET FLAGS [OPTION…]
build() {
  cmake -S "$root/tests/long" -B "$work/$1" -G Ninja -DCMAKE_CXX_COMPILER=clang++ \
    -DCMAKE_CXX_FLAGS="-O1 -gdwarf-4 $3" -DPython_EXECUTABLE="$python" \
    -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" "${@:4}" >/dev/null
  ninja -C "$work/$1" "$2"
}

# ASan and UBSan; libFuzzer's counters do no harm in the tests, and save a second build. Without its hooks in
# every comparison, which halve the speed and see little where bytes only choose.
address="-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all
  -fno-sanitize=vptr,function -fsanitize-coverage=inline-8bit-counters,pc-table"
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:use_sigaltstack=0
export UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1

# with_module ARGUMENT…: Python on a module with both sanitizers, every malloc theirs.
with_module() {
  build address _core "${address//$'\n'/ }" -DFASTDW_PYTHON=ON -DSKBUILD_PROJECT_VERSION="$version"
  local site=$work/site
  rm -rf "$site" && mkdir -p "$site"
  cp -r "$root/python/fastdw" "$root/bench/fastdw_bench" "$site"
  # Not through a link to the build of a developer.
  cp --remove-destination "$work"/address/core/_core*.so "$site/fastdw"
  # The C++ library too, because the sanitizer looks for its functions at once.
  cd "$root"
  LD_PRELOAD="$(clang -print-file-name=libclang_rt.asan-x86_64.so) $(clang -print-file-name=libstdc++.so)" \
    PYTHONMALLOC=malloc PYTHONPATH=$site "$python" "$@"
}

case ${1:-} in
  suite)
    # Machine code is judged as the release optimises it; a child that is forked while another thread allocates
    # hangs in the sanitizer's own malloc, of Clang 14 at least, before it comes to us; and what is given back
    # waits in the sanitizer's quarantine, so memory grows.
    with_module -m pytest -p no:cacheprovider --ignore tests/kernels/test_machine_code.py \
      --deselect tests/service/test_services.py::test_forks \
      --deselect tests/networks/test_conduct.py::test_forks_under_load \
      --deselect tests/importers/test_loading.py::test_loading_a_thousand_times_holds_memory_flat \
      --deselect tests/importers/test_tflite.py::test_loading_again_and_again_holds_no_memory "${@:2}"
    ;;
  hostile)
    with_module tests/long/hostile_files.py "${@:2}"
    ;;
  fuzz)
    build address fuzz_core "${address//$'\n'/ }"
    mkdir -p "$corpus"
    "$work/address/fuzz_core" -max_total_time="${2:-600}" -max_len=64 -entropic=0 -print_final_stats=1 "$corpus"
    ;;
  blocks)
    build address blocks "${address//$'\n'/ }"
    "$work/address/blocks" "${2:-60}" "$RANDOM"
    ;;
  threads)
    build thread stress_tsan -fsanitize=thread
    "$work/thread/stress_tsan" "${2:-60}"
    ;;
  valgrind)
    build plain fuzz_core -fsanitize=fuzzer-no-link
    mapfile -t inputs < <(find "$corpus" -type f | sort | head -n 400)
    valgrind --quiet --error-exitcode=1 "$work/plain/fuzz_core" "${inputs[@]}"
    ;;
  *)
    sed -n '2,9s/^# \?//p' "$0"
    exit 2
    ;;
esac
