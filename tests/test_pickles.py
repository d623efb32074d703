"""Pickles of layers are plain arrays and a version; whatever else comes is a ValueError.

The unpickling itself is Python's and NumPy's business, so most tests call what a pickle names to
rebuild a layer, with damaged states. test_layers.py has the pickles that are whole.
"""

import io
import multiprocessing
import pickle
import random
import warnings
from base64 import b64decode
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from fastdw import BatchNorm, DepthwiseConv2D, PointwiseConv2D, SeparableConv2D
from fastdw.layers._layer import Layer
from support import assert_same, batch_norm, integers, rng, signed

VERSION, NAME, ARGUMENTS, PARAMETERS = range(4)


def layers():
    g = rng(1)
    return {
        "separable": SeparableConv2D(
            signed(g, (3, 2, 4, 2)), signed(g, (8, 5)), (1, 2), "same_lower", "NCHW", (2, 1),
            pre_activation=("prelu", signed(g, 4)), depthwise_bias=signed(g, 8),
            depthwise_activation=("elu", 0.5), batch_norm=BatchNorm(*batch_norm(g, 5)),
            activation=("clip", -1, 2.5),
        ),
        "depthwise": DepthwiseConv2D(signed(g, (3, 3, 4)), 2, ((0, 1), (0, 1)), activation="relu"),
        "pointwise": PointwiseConv2D(signed(g, (4, 5)), bias=signed(g, 5)),
    }  # fmt: skip


restore = layers()["separable"].__reduce__()[0]


def state(name="separable"):
    return list(layers()[name].__reduce__()[1])


def refuse(damaged):
    with pytest.raises(ValueError, match="pickle") as caught:
        restore(*damaged)
    assert type(caught.value) is ValueError


def test_a_state_is_a_version_a_name_arrays_and_numbers():
    for layer in layers().values():
        function, (version, name, arguments, parameters) = layer.__reduce__()
        assert function is restore
        assert (version, name, parameters) == (1, type(layer).__name__, layer.num_parameters)
        for value in arguments.values():
            parts = value if isinstance(value, tuple) else (value,)
            for part in parts:
                assert isinstance(part, np.ndarray | str | int | float | tuple | None)


# A layer of version 1 as NumPy 1 and pickle's protocol 2 wrote it.
STORED = (
    "gAJjZmFzdGR3Ll9sYXllcnMKX3Jlc3RvcmUKcQAoSwFYDwAAAFNlcGFyYWJsZUNvbnYyRHEBfXECKFgQAAAAZGVwdGh3aX"
    "NlX2tlcm5lbHEDY251bXB5LmNvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcQRjbnVtcHkKbmRhcnJheQpxBUsAhXEG"
    "Y19jb2RlY3MKZW5jb2RlCnEHWAEAAABicQhYBgAAAGxhdGluMXEJhnEKUnELh3EMUnENKEsBKEsDSwJLAksCdHEOY251bX"
    "B5CmR0eXBlCnEPWAIAAABmNHEQiYiHcRFScRIoSwNYAQAAADxxE05OTkr/////Sv////9LAHRxFGKJaAdYdwAAAAAAQEAA"
    "AADDgAAAwoDDgAAAAMOAAADCgMK/AABAQAAAAAAAAMKAw4AAAMKAwr8AAMKAPwAAQEAAAABAAADCgEAAAEDDgAAAQEAAAM"
    "KAw4AAAMKAPwAAAMOAAABAw4AAAMKAPwAAAMOAAADCgD8AAADDgAAAQMOAcRVoCYZxFlJxF3RxGGJYEAAAAHBvaW50d2lz"
    "ZV9rZXJuZWxxGWgEaAVLAIVxGmgLh3EbUnEcKEsBSwRLA4ZxHWgSiWgHWDkAAAAAAABAAADCgMK/AAAAQAAAAEAAAMKAQA"
    "AAwoDCvwAAQMOAAADCgD8AAMKAQAAAwoBAAABAQAAAAEBxHmgJhnEfUnEgdHEhYlgOAAAAZGVwdGh3aXNlX2JpYXNxImgE"
    "aAVLAIVxI2gLh3EkUnElKEsBSwSFcSZoEoloB1gWAAAAAADCgMOAAABAw4AAAADDgAAAwoDCv3EnaAmGcShScSl0cSpiWA"
    "QAAABiaWFzcStoBGgFSwCFcSxoC4dxLVJxLihLAUsDhXEvaBKJaAdYDQAAAAAAwoA/AAAAAAAAAEBxMGgJhnExUnEydHEz"
    "YlgHAAAAc3RyaWRlc3E0SwFLAoZxNVgHAAAAcGFkZGluZ3E2SwFLAIZxN0sASwGGcTiGcTlYDQAAAGRpbGF0aW9uX3JhdG"
    "VxOksBSwGGcTtYCwAAAGRhdGFfZm9ybWF0cTxYBAAAAE5DSFdxPVgOAAAAcHJlX2FjdGl2YXRpb25xPlgFAAAAcHJlbHVx"
    "P2gEaAVLAIVxQGgLh3FBUnFCKEsBSwKFcUNoEoloB1gMAAAAAADCgMK/AADCgMK/cURoCYZxRVJxRnRxR2KGcUhYFAAAAG"
    "RlcHRod2lzZV9hY3RpdmF0aW9ucUlOWAoAAABhY3RpdmF0aW9ucUpYBAAAAGNsaXBxS0fANAAAAAAAAEdAPgAAAAAAAIdx"
    "THVLK3RxTVJxTi4="
)


def test_a_stored_pickle_stays_readable():
    layer = pickle.loads(b64decode(STORED))
    g = rng(2)
    twin = SeparableConv2D(
        integers(g, (3, 2, 2, 2)), integers(g, (4, 3)), (1, 2), ((1, 0), (0, 1)), "NCHW",
        pre_activation=("prelu", integers(g, 2)), depthwise_bias=integers(g, 4),
        bias=integers(g, 3), activation=("clip", -20, 30),
    )  # fmt: skip
    assert repr(layer) == repr(twin)
    assert layer.num_parameters == twin.num_parameters
    x = integers(g, (2, 2, 6, 5))
    assert_same(layer(x), twin(x))


@pytest.mark.parametrize("name", layers())
def test_truncated_states(name):
    whole = state(name)
    for length in range(len(whole)):
        refuse(whole[:length])
    refuse([*whole, None])
    for key in whole[ARGUMENTS]:
        damaged = state(name)
        del damaged[ARGUMENTS][key]
        refuse(damaged)


@pytest.mark.parametrize(
    "key", ["new", "x", "self", "", 3, None, "batch_norm", "depthwise_batch_norm", "\ud800"]
)
def test_states_with_an_argument_more(key):
    damaged = state()
    damaged[ARGUMENTS][key] = BatchNorm(None, None, np.ones(5), np.ones(5), 1e-3)
    refuse(damaged)
    damaged[ARGUMENTS][key] = None
    refuse(damaged)


def deep(levels=100_000):
    value = ()
    for _ in range(levels):
        value = (value,)
    return value


def endless():
    value = []
    value.append(value)
    return value


# What may stand in the place of anything.
STRANGERS = [
    float("nan"), float("inf"), -1, 0, 2**31, 2**63, 2**70, -(2**70), 10**5000, 1.5, 1j, True,
    "", "1", "\ud800", "SeparableConv2D" * 1000, b"NHWC", (), [], {}, {1: 2}, [None], ((1,),),
    (1, 2, 3), ((1, 2), (3,)), (-1, 1), (2**70, 1), ("prelu",), ("clip", 2, 1), ("swishh",),
    ("elu", float("nan")), ("prelu", np.ones(3)), endless(), deep(), object(), print, int,
    np.float32(1), np.array(None), np.array([object()]), np.ones(3), np.ones((2, 2), np.float32),
    np.zeros(0, np.float32), np.zeros((3, 2, 4, 0), np.float32), np.ones((), np.float32),
    np.zeros(8, [("a", "f4")]), np.zeros(8, ">f4"), np.zeros(8, np.float16), np.zeros(8, "M8[s]"),
    np.ma.ones(8, np.float32), np.zeros(8, "S4"), np.ones((1,) * 32, np.float32),
]  # fmt: skip


def contained(value):
    """`value` for a message: any repr of it might be endless, or of too many digits."""
    return type(value).__name__


@pytest.mark.parametrize("place", [VERSION, NAME, ARGUMENTS, PARAMETERS])
@pytest.mark.parametrize("stranger", STRANGERS, ids=contained)
def test_strangers_in_a_state(place, stranger):
    damaged = state()
    damaged[place] = stranger
    if place == VERSION and stranger is True:
        damaged[place] = False
    refuse(damaged)


@pytest.mark.parametrize("name", layers())
def test_strangers_among_the_arguments(name):
    whole = state(name)
    for key in whole[ARGUMENTS]:
        for stranger in STRANGERS:
            damaged = [*whole[:ARGUMENTS], whole[ARGUMENTS] | {key: stranger}, whole[PARAMETERS]]
            rebuild(damaged)


def rebuild(damaged):
    """The layer of a state whose damage cannot be seen, or None for a state that is refused."""
    try:
        layer = restore(*damaged)
    except Exception as error:
        refused = type(error), "pickle" in str(error)
    else:
        assert isinstance(layer, Layer)
        assert repr(pickle.loads(pickle.dumps(layer))) == repr(layer)
        return layer
    assert refused == (ValueError, True)
    return None


def giant(*shape):
    return np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), shape, (0,) * len(shape))


@pytest.mark.parametrize(
    "kernels",
    [
        {"depthwise_kernel": giant(2**20, 2**20, 4, 2)},
        {"depthwise_kernel": giant(2**15, 2**14, 4, 2)},
        {"depthwise_kernel": giant(1, 1, 2**30, 2**30), "pointwise_kernel": giant(2**60, 1)},
        {"depthwise_kernel": giant(3, 2, 4, 2**33), "pointwise_kernel": giant(2**35, 5)},
        {"pointwise_kernel": giant(8, 2**33)},
        {"pointwise_kernel": giant(8, 2**57), "bias": giant(2**57)},
        {"depthwise_bias": giant(2**60)},
    ],
    ids=lambda kernels: ", ".join(str(k.shape) for k in kernels.values()),
)
def test_arrays_that_are_giant_by_their_strides(kernels):
    """Without a copy: of these, one alone would fill the memory of a machine."""
    damaged = state()
    damaged[ARGUMENTS] |= kernels
    refuse(damaged)


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
