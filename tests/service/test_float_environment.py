"""The floating-point environment is the caller's: no call changes it, and workers obey it."""

import ctypes
import ctypes.util
import functools
import platform
import sys
from typing import NamedTuple

import fastdw
import numpy as np
import pytest
from support import assert_same, rng, signed
from test_environment import output


class Word(NamedTuple):
    """The control word of SSE or NEON: its place in fenv_t, the bits that control, and some."""

    place: slice
    control: int
    flush: int  # subnormals to zero
    upward: int  # rounding


WORDS = {
    "x86_64": Word(slice(28, 32), 0xFFC0, 0x8040, 0x4000),  # MXCSR, but for the sticky flags
    "aarch64": Word(slice(0, 4), 0xFFFFFFFF, 1 << 24, 1 << 22),  # FPCR
}
# The machine is the kernel's, under which a 32-bit system may run.
WORD = WORDS.get(platform.machine()) if sys.maxsize > 2**32 else None
libm = ctypes.util.find_library("m") or "libm.so.6"
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or WORD is None, reason="needs fenv_t of Linux on x86-64 or AArch64"
)
FENV_SIZE = 32


def environment():
    state = ctypes.create_string_buffer(FENV_SIZE)
    assert ctypes.CDLL(libm).fegetenv(state) == 0
    return state.raw


def control():
    return int.from_bytes(environment()[WORD.place], "little") & WORD.control


@pytest.fixture
def set_control():
    """A function that sets bits of this thread's control word on top of those of the start."""
    before = environment()

    def set_bits(bits):
        state = bytearray(before)
        word = int.from_bytes(state[WORD.place], "little") | bits
        state[WORD.place] = word.to_bytes(4, "little")
        assert ctypes.CDLL(libm).fesetenv(bytes(state)) == 0

    yield set_bits
    assert ctypes.CDLL(libm).fesetenv(before) == 0


def subnormals(images, rows, columns):
    return signed(rng(1), (images, rows, columns, 32)) * np.float32(2.0**-128)


def operators():
    """Every public operator, with weights of its own."""
    g = rng(2)
    taps, matrix = signed(g, (3, 3, 32)), signed(g, (32, 40))
    weights = {
        "depthwise_conv2d": [taps],
        "pointwise_conv2d": [matrix],
        "separable_conv2d": [taps, matrix],
        "conv2d": [signed(g, (3, 3, 32, 8))],
    }
    layers = {name.lower(): getattr(fastdw, name) for name in fastdw.__all__ if "Conv2D" in name}

    def call(function, arguments, x, **options):
        return function(x, *arguments, **options)

    for name, arguments in weights.items():
        yield functools.partial(call, getattr(fastdw, name), arguments)
        yield layers[name.replace("_", "")](*arguments)


def test_every_operator_is_here():
    names = [name for name in fastdw.__all__ if not name.startswith("Quantized")]
    assert len([*operators()]) == sum("conv2d" in name.lower() for name in names)


@pytest.mark.emulated
@pytest.mark.parametrize("state", ["default", "flush", "upward"])
def test_calls_keep_the_control_bits(forced_isa, set_control, state):
    """Results and refusals alike, on one thread and on several, first calls and repeated ones."""
    x = subnormals(4, 20, 22)  # worth two threads and more
    huge = np.broadcast_to(np.float32(1), (1, 2**22, 2**22, 32))
    set_control(getattr(WORD, state, 0))
    before = control()
    for operator in operators():
        for num_threads in (1, 1, 4, 4):
            operator(x, num_threads=num_threads)
            assert control() == before
            for refused, error in ((x[..., :5], ValueError), (huge, MemoryError)):
                with pytest.raises(error):
                    operator(refused, num_threads=num_threads)
                assert control() == before


@pytest.mark.emulated
def test_import_keeps_the_control_bits():
    program = (
        "import ctypes, numpy\n"
        f"libm, state = ctypes.CDLL({libm!r}), ctypes.create_string_buffer({FENV_SIZE})\n"
        "def control():\n"
        "    libm.fegetenv(state)\n"
        f"    word = state.raw[{WORD.place.start}:{WORD.place.stop}]\n"
        f"    return int.from_bytes(word, 'little') & {WORD.control}\n"
        "before = control()\n"
        "import fastdw\n"
        "print(before == control())\n"
    )
    assert output(program) == ["True"]


def test_workers_take_the_environment_of_their_caller(set_control):
    """Not of the thread that happened to start them: else bits would hang on who came first."""
    separable, x = [*operators()][-1], subnormals(4, 96, 96)  # long enough for workers to wake up
    wanted, got = {}, {}
    for bits in (WORD.flush, 0):
        set_control(bits)
        wanted[bits] = separable(x, num_threads=1)
        got[bits] = [separable(x, num_threads=8) for _ in range(8)]
    set_control(0)  # a comparison would flush its operands too
    assert np.any(wanted[0] != wanted[WORD.flush])
    for bits, results in got.items():
        for result in results:
            assert_same(result, wanted[bits])
