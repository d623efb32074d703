"""The floating-point environment is the caller's: no call changes it, and workers obey it."""

import ctypes
import ctypes.util
import platform
import struct
import subprocess
import sys

import fastdw
import numpy as np
import pytest
from support import assert_same, rng, signed

MACHINE = platform.machine()
# Of fenv_t: the bytes of the control word, its bits that control, those that flush subnormals.
WORDS = {
    "x86_64": (slice(28, 32), 0xFFC0, 0x8040),  # MXCSR: rounding, exception masks, FTZ and DAZ
    "aarch64": (slice(0, 4), 0xFFFFFFFF, 1 << 24),  # FPCR: FZ
}
libm = ctypes.util.find_library("m")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or MACHINE not in WORDS or libm is None,
    reason="needs fenv_t of Linux on x86-64 or AArch64",
)
FENV_SIZE = 32


def environment():
    state = ctypes.create_string_buffer(FENV_SIZE)
    assert ctypes.CDLL(libm).fegetenv(state) == 0
    return state.raw


def control():
    place, bits, _ = WORDS[MACHINE]
    return int.from_bytes(environment()[place], "little") & bits


@pytest.fixture
def flushing():
    """A function that makes this thread flush subnormals to zero, or no more."""
    before = environment()
    place, _, flush = WORDS[MACHINE]

    def set_flushing(on):
        state = bytearray(before)
        word = int.from_bytes(state[place], "little")
        state[place] = struct.pack("<I", word | flush if on else word)
        assert ctypes.CDLL(libm).fesetenv(bytes(state)) == 0

    yield set_flushing
    assert ctypes.CDLL(libm).fesetenv(before) == 0


def layer():
    """A layer, and an image of subnormals that is worth several threads."""
    g = rng(1)
    taps, mixer = signed(g, (3, 3, 32)), signed(g, (32, 32))
    x = signed(g, (2, 96, 96, 32)) * np.float32(2.0**-128)
    return fastdw.SeparableConv2D(taps, mixer), x


@pytest.mark.parametrize("flush", [False, True])
def test_calls_keep_the_control_bits(forced_isa, flushing, flush):
    separable, x = layer()
    flushing(flush)
    before = control()
    for num_threads in (1, 4):
        separable(x, num_threads=num_threads)
        assert control() == before
    with pytest.raises(ValueError, match="channels"):
        separable(x[..., :5])
    assert control() == before


def test_import_keeps_the_control_bits():
    word, bits, _ = WORDS[MACHINE]
    program = (
        "import ctypes, sys, numpy\n"
        f"libm, state = ctypes.CDLL({libm!r}), ctypes.create_string_buffer({FENV_SIZE})\n"
        "def control():\n"
        "    libm.fegetenv(state)\n"
        f"    return int.from_bytes(state.raw[{word.start}:{word.stop}], 'little') & {bits}\n"
        "before = control()\n"
        "import fastdw\n"
        "assert control() == before\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_workers_take_the_environment_of_their_caller(flushing):
    """Not of the thread that happened to start them: else bits would hang on who came first."""
    separable, x = layer()
    wanted, got = {}, {}
    for flush in (True, False):
        flushing(flush)
        wanted[flush] = separable(x, num_threads=1)
        got[flush] = [separable(x, num_threads=8) for _ in range(8)]
    flushing(False)  # a comparison would flush its operands too
    assert np.any(wanted[False] != wanted[True])
    for flush, results in got.items():
        for result in results:
            assert_same(result, wanted[flush])
