"""Pickles of layers damaged at random, their states and their bytes."""

import io
import multiprocessing
import pickle
import random
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from test_pickles import STRANGERS, layers, rebuild, restore, state


def test_random_damage():
    choose, accepted = random.Random(1), 0
    for _ in range(2000):
        damaged = state(choose.choice([*layers()]))
        for _ in range(choose.randint(1, 3)):
            DAMAGES[choose.randrange(len(DAMAGES))](choose, damaged)
        accepted += rebuild(damaged) is not None
    assert 0 < accepted < 1000


def _replace(choose, damaged):
    damaged[choose.randrange(len(damaged))] = choose.choice(STRANGERS)


def _drop(choose, damaged):
    if len(damaged) > 1:
        damaged.pop(choose.randrange(len(damaged)))


def _argument(damage):
    def wrapped(choose, damaged):
        for part in damaged:
            if isinstance(part, dict) and part:
                key = choose.choice([*part])
                damage(choose, part, key)

    return wrapped


@_argument
def _stranger(choose, arguments, key):
    arguments[key] = choose.choice(STRANGERS)


@_argument
def _swap(choose, arguments, key):
    other = choose.choice([*arguments])
    arguments[key], arguments[other] = arguments[other], arguments[key]


@_argument
def _reshape(choose, arguments, key):
    if isinstance(arguments[key], np.ndarray):
        array = arguments[key].copy()
        array = choose.choice([np.ravel, np.transpose, np.squeeze, np.atleast_2d])(array)
        arguments[key] = array[: choose.randint(0, len(array))] if choose.random() < 0.5 else array


@_argument
def _flip(choose, arguments, key):
    if isinstance(arguments[key], np.ndarray) and arguments[key].flags.c_contiguous:
        array = arguments[key].copy()
        if array.dtype == np.float32 and array.size:
            array.reshape(-1).view(np.uint8)[choose.randrange(array.nbytes)] ^= (
                1 << choose.randrange(8)
            )
        arguments[key] = array


DAMAGES = [_replace, _drop, _stranger, _swap, _reshape, _flip]


class Unpickler(pickle._Unpickler):
    """Python's own in Python, whose memory a wrong number cannot fill; it tells who refused."""

    def find_class(self, module, name):
        function = super().find_class(module, name)
        if function is restore:
            return self.watched
        if module.split(".")[0] not in ("numpy", "_codecs"):
            msg = f"damage named {module}.{name}"
            raise pickle.UnpicklingError(msg)
        return function

    reached = 0

    def watched(self, *damaged):
        self.reached += 1
        return rebuild(damaged)


def flip_bits(protocol):
    """How many of the damaged pickles came as far as to fastdw."""
    warnings.simplefilter("ignore")  # of NumPy, for damaged dtypes
    stored = pickle.dumps(layers()["separable"], protocol)
    choose, reached = random.Random(2), 0
    for _ in range(1500):
        damaged = bytearray(stored)
        damaged[choose.randrange(len(stored))] ^= 1 << choose.randrange(8)
        unpickler = Unpickler(io.BytesIO(damaged))
        try:
            unpickler.load()
        except AssertionError:
            raise
        except Exception:
            pass  # Python's or NumPy's refusal; `rebuild` lets none of fastdw's pass
        reached += unpickler.reached
    return reached


@pytest.mark.parametrize("protocol", [2, 4])
def test_flipped_bits(protocol):
    # In a process of its own: one of the flipped bits damages NumPy's float32 for the rest of it.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as child:
        assert child.submit(flip_bits, protocol).result() > 500


@pytest.mark.parametrize("protocol", range(2, 6))
def test_truncated_bytes(protocol):
    stored = pickle.dumps(layers()["pointwise"], protocol)
    for length in range(len(stored)):
        with pytest.raises((EOFError, pickle.UnpicklingError, ValueError)):
            pickle.loads(stored[:length])
