"""Pickles of layers are plain Python and a version; whatever else comes is a ValueError.

The unpickling itself is Python's and NumPy's business, so most tests call what a pickle names to
rebuild a layer, with damaged states. test_layers.py has the pickles that are whole.
"""

import pickle
from base64 import b64decode

import numpy as np
import pytest
from fastdw import (
    BatchNorm,
    DepthwiseConv2D,
    Input,
    Network,
    PointwiseConv2D,
    Quantization,
    SeparableConv2D,
    ops,
)
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


def state(name="separable", version=1):
    """What a pickle holds; that of version 1 has arrays, which are easier to damage."""
    whole = list(layers()[name].__reduce__()[1])
    if version == 1:
        whole[VERSION] = 1
        whole[ARGUMENTS] = {key: arrayed(value) for key, value in whole[ARGUMENTS].items()}
    return whole


def arrayed(value):
    if isinstance(value, tuple):
        return tuple(map(arrayed, value))
    if not isinstance(value, dict):
        return value
    return np.frombuffer(value["data"], value["dtype"]).reshape(value["shape"])


def refuse(damaged):
    with pytest.raises(ValueError, match="pickle") as caught:
        restore(*damaged)
    assert type(caught.value) is ValueError


def assert_plain(value):
    assert type(value) in (str, int, float, bytes, tuple, dict, type(None))
    if isinstance(value, (tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            assert_plain(part)


def test_a_state_is_plain_python():
    """NumPy's own pickles name modules that another NumPy does not have."""
    norm = BatchNorm(*batch_norm(rng(1), 5))
    for thing in (*layers().values(), norm):
        function, whole = thing.__reduce__()
        assert_plain(whole)
        assert b"numpy" not in pickle.dumps(thing)
        if thing is not norm:
            assert function is restore
            version, name, _, parameters = whole
            assert (version, name, parameters) == (2, type(thing).__name__, thing.num_parameters)


@pytest.mark.parametrize(
    "cls",
    [SeparableConv2D, DepthwiseConv2D, PointwiseConv2D, BatchNorm, Quantization, Network],
)
def test_a_subclass_is_refused_when_dumped(cls):
    """It could be loaded by nobody, or as something else."""
    derived = type("Derived", (cls,), {})
    twin = type(cls.__name__, (cls,), {})
    if cls is BatchNorm:
        arguments = batch_norm(rng(1), 5)
    elif cls is Quantization:
        arguments = (0.5,)
    elif cls is Network:
        image = Input((4, 4, 2))
        arguments = (image, ops.max_pool(image, 2))
    else:
        kernels = {"depthwise_kernel": signed(rng(1), (3, 3, 4))}
        kernels["pointwise_kernel"] = signed(rng(1), (4, 5))
        arguments = [v for k, v in kernels.items() if k in cls.__init__.__code__.co_varnames]
    for subclass in (derived, twin):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(subclass(*arguments))
    whole = cls(*arguments)
    assert type(pickle.loads(pickle.dumps(whole))) is cls


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


# A layer and a BatchNorm of version 2, in pickle's protocol 2.
STORED_2 = (
    "gAJjZmFzdGR3Ll9sYXllcnMKX3Jlc3RvcmUKcQAoSwJYDwAAAERlcHRod2lzZUNvbnYyRHEBfXECKFgQAAAAZGVwdGh3aX"
    "NlX2tlcm5lbHEDfXEEKFgFAAAAZHR5cGVxBVgDAAAAPGY0cQZYBQAAAHNoYXBlcQcoSwNLAUsCSwF0cQhYBAAAAGRhdGFx"
    "CWNfY29kZWNzCmVuY29kZQpxClgdAAAAAABAQAAAwoDDgAAAQMOAAAAAw4AAAEDDgAAAQEBxC1gGAAAAbGF0aW4xcQyGcQ"
    "1ScQ51WAQAAABiaWFzcQ99cRAoaAVYAwAAADxmNHERaAdLAoVxEmgJaApYCQAAAAAAQEAAAMKAP3ETaAyGcRRScRV1WAcA"
    "AABzdHJpZGVzcRZLAksChnEXWAcAAABwYWRkaW5ncRhYBQAAAHZhbGlkcRlYDQAAAGRpbGF0aW9uX3JhdGVxGksBSwGGcR"
    "tYCwAAAGRhdGFfZm9ybWF0cRxYBAAAAE5IV0NxHVgKAAAAYWN0aXZhdGlvbnEeWAUAAABwcmVsdXEffXEgKGgFWAMAAAA8"
    "ZjRxIWgHSwKFcSJoCWgKWAwAAAAAAMKAw4AAAMKAw4BxI2gMhnEkUnEldYZxJnVLCHRxJ1JxKC4="
)
STORED_BATCH_NORM = (
    "gAJjZmFzdGR3Ll9iYXRjaF9ub3JtCl9yZXN0b3JlCnEAKE59cQEoWAUAAABkdHlwZXECWAMAAAA8ZjRxA1gFAAAAc2hhcG"
    "VxBEsChXEFWAQAAABkYXRhcQZjX2NvZGVjcwplbmNvZGUKcQdYCAAAAAAAAAAAAAAAcQhYBgAAAGxhdGluMXEJhnEKUnEL"
    "dX1xDChoAlgDAAAAPGY0cQ1oBEsChXEOaAZoB1gKAAAAAADDgD8AAADDgHEPaAmGcRBScRF1fXESKGgCWAMAAAA8ZjhxE2"
    "gESwKFcRRoBmgHWBEAAAAAAAAAAADDsD8AAAAAAAAAQHEVaAmGcRZScRd1Rz9QYk3S8an8dHEYUnEZLg=="
)


def test_stored_pickles_of_version_2_stay_readable():
    layer = pickle.loads(b64decode(STORED_2))
    g = rng(3)
    twin = DepthwiseConv2D(
        integers(g, (3, 1, 2)), 2, bias=integers(g, 2), activation=("prelu", integers(g, 2))
    )
    assert repr(layer) == repr(twin)
    x = integers(g, (2, 6, 5, 2))
    assert_same(layer(x), twin(x))
    norm = pickle.loads(b64decode(STORED_BATCH_NORM))
    assert norm.gamma is None
    assert norm.mean.tolist() == [1.5, -2.0]
    assert norm.variance.dtype == np.float64
    assert norm.epsilon == 1e-3


@pytest.mark.parametrize("damaged", [(), (None,) * 5, (1, 2), (None, None, {}, {}, 1e-3), ([], 1)])
def test_damaged_batch_norms(damaged):
    rebuild_norm = BatchNorm(*batch_norm(rng(1), 5)).__reduce__()[0]
    with pytest.raises(ValueError, match="pickled BatchNorm is damaged"):
        rebuild_norm(*damaged)


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


@pytest.mark.parametrize("part", ["dtype", "shape", "data"])
@pytest.mark.parametrize("key", ["depthwise_kernel", "bias", "pre_activation"])
def test_strangers_in_an_array(key, part):
    for stranger in (*STRANGERS, (2**70,), (-1,), (8.0,), "<f2", "O", b"", b"1234"):
        damaged = state(version=2)
        value = damaged[ARGUMENTS][key]
        if isinstance(value, tuple):
            damaged[ARGUMENTS][key] = (value[0], {**value[1], part: stranger})
        else:
            damaged[ARGUMENTS][key] = {**value, part: stranger}
        refuse(damaged)
        del (damaged[ARGUMENTS][key][1] if isinstance(value, tuple) else damaged[ARGUMENTS][key])[
            part
        ]
        refuse(damaged)


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
