"""Whole networks give the same bits: fused or not, on every instruction set, however kept."""

import functools
import json
import os
import pathlib
import pickle

import numpy as np
import pytest
import support
from fastdw import Network
from fastdw.network._graph import rounded, run
from fastdw.network._lower import lower
from fastdw.network._rewrite import REWRITES, rewrite
from small_networks import NETWORKS, STORED, digest, image
from support import assert_same

pytestmark = pytest.mark.emulated

HASHES = json.loads(STORED.read_text())
FUSIONS = ("residual", "gate", "separable", "inverted", "expand_depthwise")


def outputs(result):
    return result if isinstance(result, tuple) else (result,)


def test_every_network_is_stored():
    assert HASHES.keys() == NETWORKS.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_instruction_set_and_way_to_keep_it(forced_isa, name, tmp_path):
    graph = NETWORKS[name]()
    network, x = Network._from_graph(graph), image(graph)
    results = outputs(network(x))
    if forced_isa == "scalar":  # multiplies and adds: within a bound, not the same bits
        assert digest(results) != HASHES[name]
        for got, wanted in zip(results, run(graph, [x.astype(np.float64)]), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    else:
        assert digest(results) == HASHES[name]
    network.save(tmp_path / "net.fdw")
    for other in (Network.load(tmp_path / "net.fdw"), pickle.loads(pickle.dumps(network))):
        for got, wanted in zip(outputs(other(x)), results, strict=True):
            assert_same(got, wanted)


FACES = "71c7a2563a51d40c544385c9e98b44d2f166231d6137396ff7056edee61156b2"


@functools.cache
def faces():
    """MediaPipe's detector as its file has it, a picture, and what LiteRT makes of that."""
    pytest.importorskip("tflite")
    if "FASTDW_MODELS" not in os.environ:
        pytest.skip("FASTDW_MODELS names no folder of trained networks")
    from fastdw.importers.tflite import from_tflite

    file = pathlib.Path(os.environ["FASTDW_MODELS"]) / "mp_face_detection_short_range.tflite"
    with np.load(file.with_suffix(".npz")) as arrays:
        return from_tflite(file), arrays["in"], [arrays[f"out:{s}"] for s in OUTPUTS]


OUTPUTS = ("regressors", "classificators")


def test_a_trained_network(forced_isa):
    graph, x, wanted = faces()
    results = Network._from_graph(graph)(x)
    for got, expected in zip(results, wanted, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert (digest(results) == FACES) == (forced_isa != "scalar")


@pytest.mark.parametrize("name", NETWORKS)
def test_fused_or_not(forced_isa, name):
    graph = NETWORKS[name]()
    x = image(graph)
    wanted = outputs(Network._from_graph(graph)(x))
    for enabled in (tuple(REWRITES), tuple(r for r in REWRITES if r not in FUSIONS)):
        program = lower(rounded(rewrite(graph, enabled=enabled)[0]))
        results = tuple(np.full(y.shape, np.nan, np.float32) for y in wanted)
        program.core.run((x,), results, 1)
        for got, expected in zip(results, wanted, strict=True):
            assert_same(got, expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_number_of_threads_and_batch(name):
    graph = NETWORKS[name]()
    network, x = Network._from_graph(graph), image(graph, 2)
    wanted = outputs(network(x, num_threads=1))
    for one in range(2):
        for got, expected in zip(outputs(network(x[one])), wanted, strict=True):
            assert_same(got, expected[one])
    for threads in (2, 3) if support.emulated else range(2, 9):
        for got, expected in zip(outputs(network(x, num_threads=threads)), wanted, strict=True):
            assert_same(got, expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_inputs_stay_as_they_are_and_results_are_nobody_elses(name):
    graph = NETWORKS[name]()
    network, x = Network._from_graph(graph), image(graph)
    kept, x.flags.writeable = x.copy(), False
    first = outputs(network(x))
    copies = [y.copy() for y in first]
    assert_same(x, kept)
    for y in outputs(network(-x)):
        y[...] = np.nan
    for again, y, copy in zip(outputs(network(x)), first, copies, strict=True):
        assert_same(y, copy)
        assert_same(again, copy)
