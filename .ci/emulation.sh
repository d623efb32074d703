# Next to checks.sh: wheels for other architectures, and the tests on CPUs that this machine has not.

# sysroot ARCHITECTURE: Debian's Python, NumPy and pytest for another architecture, only unpacked
# (in $cache), so that the packages of this machine stay as they are.
sysroot() {
  local root=$cache/$1 apt=$work/apt-$1 package
  if [[ -d $root ]]; then
    return
  fi
  mkdir -p "$apt"/lists/partial "$apt"/archives/partial "$root.part"
  touch "$apt/status"
  local options=(-o "APT::Architecture=$1" -o "APT::Architectures=$1" -o "Dir::State::Lists=$apt/lists"
    -o "Dir::State::Status=$apt/status" -o "Dir::Cache=$apt")
  apt_get "${options[@]}" update || true
  apt_get "${options[@]}" install -y --download-only --no-install-recommends \
    libpython3.11-dev libstdc++6 python3-hypothesis python3-numpy python3-pytest
  for package in "$apt"/archives/*.deb; do
    dpkg -x "$package" "$root.part"
  done
  mv "$root.part" "$root"
}

# cross_wheel ARCHITECTURE TRIPLE MACHINE: a wheel, unpacked into $work/ARCHITECTURE/site.
# CPython's own variables for cross builds give it the tag and the file names of the target.
cross_wheel() {
  local out=$work/$1 multiarch=${2/i686/i386}
  sysroot "$1"
  mkdir -p "$out/sysconfig"
  cp "$cache/$1/usr/lib/python3.11/_sysconfigdata__$multiarch.py" "$out/sysconfig"
  _PYTHON_HOST_PLATFORM=linux-$3 _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata__$multiarch \
    PYTHONPATH=$out/sysconfig SYSROOT=$cache/$1 TRIPLE=$2 \
    build --wheel --no-isolation -Cbuild-dir="$out/build" --outdir "$out" \
    -Ccmake.define.CMAKE_TOOLCHAIN_FILE="$PWD/.ci/cross.cmake"
  "$python" -m zipfile -e "$out"/fastdw-*-cp311-cp311-"linux_$3.whl" "$out/site"
}

# cross_words ARCHITECTURE TRIPLE EMULATED-MACHINE: every word of Vec and of Bytes alone.
cross_words() {
  local build=$work/words-$1
  SYSROOT=$cache/$1 TRIPLE=$2 cmake -S tests/kernels -B "$build" -DFASTDW_WERROR=ON \
    -DCMAKE_TOOLCHAIN_FILE="$PWD/.ci/cross.cmake" -DCMAKE_EXE_LINKER_FLAGS=-static \
    -DCMAKE_CROSSCOMPILING_EMULATOR="$(command -v "qemu-$3")"
  cmake --build "$build"
  ctest --test-dir "$build" --output-on-failure
}

# emulated ISA ISA8 OPTIONS PYTHON...: the tests marked for it, with options of pytest; no other instruction sets, of
# floats and of bytes, may be active.
emulated() {
  FASTDW_TEST_PYTHON=$(printf '%q ' "${@:4}") CI_ISA=$1 CI_ISA8=$2 FASTDW_REQUIRE_ISA=$1 \
    PYTEST_ADDOPTS="$PYTEST_ADDOPTS --emulated $3" timeout 2000 "${@:4}" -m pytest
}

# emulated_x86 CPU ISA ISA8 [OPTIONS]
emulated_x86() {
  emulated "$2" "$3" "${4-}" qemu-x86_64 -cpu "$1" "$work/newest/bin/python"
}

# emulated_arm EMULATED-MACHINE ARCHITECTURE CPU ISA ISA8 [OPTIONS]
emulated_arm() {
  local root=$cache/$2 libraries packages=$work/newest/lib/python3.11/site-packages
  # They are Python alone, and read TFLite files.
  ln -sfn "$packages"/{tflite,flatbuffers} "$work/$2/site"
  # Links that a package's script would have made lead to the BLAS.
  libraries=$(dirname "$root"/usr/lib/*/blas/libblas.so.3):$(dirname "$root"/usr/lib/*/lapack/liblapack.so.3)
  PYTHONPATH=$work/$2/site:$PYTHONPATH emulated "$4" "$5" "${6-}" \
    "qemu-$1" -L "$root" -cpu "$3" -E LD_LIBRARY_PATH="$libraries" "$root/usr/bin/python3.11"
}

# i386: 32-bit x86, which this CPU runs itself: the demo and the tests, by the loader of the unpacked system.
i386() {
  local root=$cache/i386 usr=$cache/i386/usr/lib/i386-linux-gnu
  local command=("$root/lib/ld-linux.so.2" --library-path "$usr:$usr/blas:$usr/lapack:$root/lib/i386-linux-gnu"
    "$root/usr/bin/python3.11")
  local -x PYTHONPATH=$work/i386/site:$PYTHONPATH
  "${command[@]}" -m fastdw.demo
  emulated scalar scalar "" "${command[@]}"
}
