# For .ci/run and tests/long/cpus.sh: the table of checks, and the environments in which they run.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cache=${XDG_CACHE_HOME:-~/.cache}/fastdw-ci
python=/usr/bin/python3.11

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_QUIET=1 PIP_ROOT_USER_ACTION=ignore
export PYTHONPATH=$PWD/.ci PYTEST_ADDOPTS="-q -p ci_report -p no:cacheprovider"
# Trained networks of others: data beside the checkout, no part of it. Tests that want them are skipped without.
[[ -d ../shared/models ]] && export FASTDW_MODELS=$PWD/../shared/models
unset FASTDW_ISA FASTDW_NUM_THREADS OMP_NUM_THREADS
unset OPENBLAS_CORETYPE # chosen for the real CPU, it would crash NumPy on an emulated one

row() {
  printf '%-34s %-18s %7s %7s %8s\n' "$@"
}

# isas floats|integers built|supported: instruction sets of this machine's wheel, best first.
isas() {
  "$work/newest/bin/python" - "$@" <<'END'
import sys
import fastdw

kind, which = sys.argv[1:]
print(*fastdw.show_config("dict")[{"floats": "isas", "integers": "isas8"}[kind]][which])
END
}

# left_out NAME BUILT RUN: a row for each instruction set that is built but not run.
left_out() {
  local isa
  for isa in $2; do
    if [[ " $3 " != *" $isa "* ]]; then
      row "$1" "$isa" 0 0 "0 s" >>"$work/table"
    fi
  done
}

# check NAME COMMAND...: pytest leaves a report for its row, any other command counts as one test.
check() {
  local name=$1 isa=- passed=1 failed=0 status start=$SECONDS
  shift
  printf '\n=== %s\n' "$name"
  local -x CI_REPORT=$work/report-$BASHPID
  rm -f "$CI_REPORT"
  (
    set -e
    "$@"
  )
  status=$?
  if [[ -f $CI_REPORT ]]; then
    read -r isa passed failed <"$CI_REPORT"
  elif ((status)); then
    passed=0
  fi
  if ((status && !failed)); then
    failed=1
  fi
  row "$name" "$isa" "$passed" "$failed" "$((SECONDS - start)) s" >>"$work/table"
}

# beside NAME COMMAND...: a check, two at a time: most tests keep one core busy, not two. The longest ones come first.
# What they print comes when finish_besides says so.
besides=0
beside() {
  if ((besides++ >= 2)); then
    wait -n
  fi
  check "$@" >"$work/beside-$besides" 2>&1 &
}

finish_besides() {
  wait
  cat "$work"/beside-*
  rm "$work"/beside-*
  besides=0
}

apt_get() {
  for _ in 1 2 3; do
    if DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >/dev/null; then
      return
    fi
    sleep 5
  done
  return 1
}

install_packages() {
  local packages=(ccache clang cmake g++ g++-aarch64-linux-gnu g++-arm-linux-gnueabihf g++-i686-linux-gnu git
    python3.11-dev python3.11-venv qemu-user)
  if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
    apt_get update || true
    apt_get install -y --no-install-recommends "${packages[@]}"
  fi
}

# Warnings are errors wherever it is built.
export SKBUILD_CMAKE_DEFINE=FASTDW_WERROR=ON

# Of the wheels some are built twice, in folders of different names.
cache_compilations() {
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache
  export CCACHE_DIR=$cache/ccache CCACHE_BASEDIR=/ CCACHE_NOHASHDIR=1
}

# environment NAME REQUIREMENT...: a fresh virtual environment.
environment() {
  "$python" -m venv "$work/$1"
  "$work/$1/bin/pip" install "${@:2}"
}

build() {
  "$work/tools/bin/python" -m build "$@"
}

# summary: the table; fails if a check did.
summary() {
  echo
  row "check" "floats+integers" "passed" "failed" "time"
  cat "$work/table"
  awk '{ passed += $(NF - 3); failed += $(NF - 2) }
    END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }' "$work/table"
}
