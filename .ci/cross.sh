# For .ci/run: wheels for other architectures, and tests on emulated CPUs.

apt_get() {
  local attempt
  for attempt in 1 2 3; do
    DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" && return
    sleep 5
  done
  return 1
}

# sysroot ARCHITECTURE: Debian's Python, NumPy and pytest for another architecture in $cache,
# unpacked and not installed: this machine's packages stay as they are.
sysroot() {
  local root=$cache/$1 state=$work/apt-$1 package options
  [[ -d $root ]] && return
  mkdir -p "$state"/{lists,archives}/partial "$root.part"
  touch "$state/status"
  options=(-o "APT::Architecture=$1" -o "APT::Architectures=$1" -o "Dir::State::Lists=$state/lists"
    -o "Dir::State::status=$state/status" -o "Dir::Cache::Archives=$state/archives"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
  apt_get "${options[@]}" update || true
  apt_get "${options[@]}" install -y --download-only --no-install-recommends \
    libpython3.11-dev libstdc++6 python3-hypothesis python3-numpy python3-pytest
  for package in "$state"/archives/*.deb; do
    dpkg -x "$package" "$root.part"
  done
  mv "$root.part" "$root"
}

# cross_wheel ARCHITECTURE TRIPLE MACHINE: a wheel in $work/ARCHITECTURE, unpacked into site/ there.
# CPython's own variables for cross builds give it the tags and the file names of the target.
cross_wheel() {
  local out=$work/$1
  sysroot "$1"
  mkdir -p "$out/sysconfig"
  cp "$cache/$1/usr/lib/python3.11/_sysconfigdata__$2.py" "$out/sysconfig"
  _PYTHON_HOST_PLATFORM=linux-$3 _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata__$2 \
    PYTHONPATH=$out/sysconfig SYSROOT=$cache/$1 TRIPLE=$2 build --wheel --no-isolation \
    -Cbuild-dir="$out/build" -Ccmake.define.CMAKE_TOOLCHAIN_FILE="$PWD/.ci/cross.cmake" --outdir "$out"
  "$work/tools/bin/python" -m zipfile -e "$out"/*-cp311-cp311-"linux_$3.whl" "$out/site"
}

