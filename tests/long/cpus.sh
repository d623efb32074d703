#!/usr/bin/env bash
# The emulated tests on more CPUs than .ci/run takes; needs the same machine, a Debian 12, and root:
#   bash tests/long/cpus.sh [CPU...]
# Each CPU must choose the instruction sets behind its name: of floats, of bytes and, on ARM, of sums of float16, or none
# of these. With AVX2 but without FMA, or with an operating system that saves no wide registers (no XSAVE), that is
# scalar.
# What QEMU 7.2 cannot do is left to real CPUs:
# - AVX-512 and AVX-VNNI: it emulates none; the table says so.
# - Guard pages behind AVX2: it reads the whole vector for a masked load.
# - Interpreters that a test starts: only those that it starts by FASTDW_TEST_PYTHON are emulated.
# - The weak memory order of ARM: its threads see memory in the order of x86.
set -uo pipefail
cd "$(dirname "$0")/../.."
source .ci/checks.sh
source .ci/emulation.sh

x86=(Nehalem:scalar:scalar SandyBridge:scalar:scalar Haswell:avx2:avx2 Haswell,-fma:scalar:scalar
  Haswell,-xsave:scalar:scalar max:avx2:avx2)
arm=(cortex-a53:neon_inorder:neon cortex-a72:neon:neon cortex-a76:neon:dotprod:fp16
  max:neon:i8mm:fp16)
all=" ${x86[*]%%:*} ${arm[*]%%:*} "
for cpu; do
  if [[ $all != *" $cpu "* ]]; then
    echo "$cpu is not among$all"
    exit 2
  fi
done
wanted=" ${*:-$all} "

check "packages" install_packages
check "tools" environment tools build ninja pybind11 scikit-build-core
check "wheel" build --wheel --outdir "$work/gcc"
check "wheel (arm64)" cross_wheel arm64 aarch64-linux-gnu aarch64
check "install" environment newest "$(echo "$work"/gcc/*.whl)[test]"

for entry in "${x86[@]}"; do
  IFS=: read -r cpu isa isa8 <<<"$entry"
  if [[ $cpu == *-fma ]]; then
    export OPENBLAS_CORETYPE=Nehalem # NumPy's BLAS takes FMA for granted where there is AVX2
  else
    unset OPENBLAS_CORETYPE
  fi
  if [[ $wanted == *" $cpu "* ]]; then
    check "x86-64: $cpu" emulated_x86 "$cpu" "$isa" "$isa8"
  fi
done
for entry in "${arm[@]}"; do
  IFS=: read -r cpu isa isa8 isa16 <<<"$entry"
  if [[ $wanted == *" $cpu "* ]]; then
    CI_ISA16=${isa16:-None} check "arm64: $cpu" emulated_arm aarch64 arm64 "$cpu" "$isa" "$isa8"
  fi
done

left_out "floats: not emulated" "$(isas floats built)" "$(printf '%s ' "${x86[@]}" | tr : ' ')"
left_out "integers: not emulated" "$(isas integers built)" "$(printf '%s ' "${x86[@]##*:}")"
summary
