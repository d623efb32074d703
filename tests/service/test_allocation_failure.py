"""Allocations and threads that fail: MemoryError or the right bits, nothing lost, `out` as it was.

A shim, compiled here and preloaded, fails the n-th allocation that the module asks for: n is
counted up until a call gets through.
"""

import gc
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import time

import fastdw
import numpy as np
import pytest
from fastdw import _core, ops
from fastdw.network._network import Network
from fastdw.network._record import Input
from support import batch_norm, rng, signed

HERE = os.path.dirname(__file__)

SHIM = r"""
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

std::atomic<long> until_failure{0}, threads_left{0};
std::atomic<bool> armed{false}, few_threads{false};

// What the module has allocated since arm(), as a set of addresses.
constexpr int kSlots = 4096;
std::atomic<void*> slots[kSlots];

bool is_module(void* caller) {
  Dl_info info;
  return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "/_core.");
}

void replace(void* from, void* to) {
  for (auto& slot : slots) {
    void* expected = from;
    if (slot.compare_exchange_strong(expected, to)) return;
  }
}

// Smaller ones stay: pybind11 survives no failure of the nodes of its registry of objects.
constexpr size_t kSmallest = 64;

template <class Allocate>
void* allocate(void* caller, size_t size, const Allocate& real) {
  if (!armed || !is_module(caller)) return real();
  if (size >= kSmallest && until_failure > 0 && until_failure.fetch_sub(1) == 1) return nullptr;
  void* p = real();
  if (p) replace(nullptr, p);
  return p;
}

template <class F>
F* next(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

void arm(long n) {
  until_failure = n;
  armed = true;
}
// Whether the failure that arm() asked for has come to pass.
int disarm() {
  armed = false;
  return until_failure <= 0;
}
void allow_threads(long n) {
  threads_left = n;
  few_threads = true;
}
int live() {
  int count = 0;
  for (const auto& slot : slots) count += slot != nullptr;
  return count;
}

void* aligned_alloc(size_t alignment, size_t size) {
  static const auto real = next<void*(size_t, size_t)>("aligned_alloc");
  return allocate(__builtin_return_address(0), size, [&] { return real(alignment, size); });
}
void free(void* p) {
  static const auto real = next<void(void*)>("free");
  if (p) replace(p, nullptr);
  real(p);
}
using Main = void*(void*);
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, Main* f, void* argument) {
  static const auto real =
      next<int(pthread_t*, const pthread_attr_t*, Main*, void*)>("pthread_create");
  if (few_threads && is_module(__builtin_return_address(0)) && threads_left.fetch_sub(1) <= 0) {
    return EAGAIN;
  }
  return real(thread, attributes, f, argument);
}

}  // extern "C"

void* operator new(size_t size) {
  void* p = allocate(__builtin_return_address(0), size, [&] { return malloc(size); });
  if (!p) throw std::bad_alloc();
  return p;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return allocate(__builtin_return_address(0), size, [&] { return malloc(size); });
}
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs LD_PRELOAD")


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    if os.environ.get("LD_PRELOAD"):
        pytest.skip("another library is preloaded")
    folder = tmp_path_factory.mktemp("shim")
    source, library = folder / "shim.cpp", folder / "shim.so"
    source.write_text(SHIM)
    command = [compiler, "-std=c++17", "-O1", "-fPIC", "-shared", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return library


def preloaded(shim, function):
    """What a function of this file returns in a process with the shim, which it takes."""
    code = (
        f"import ctypes, json, sys; sys.path[:0] = {[HERE, os.path.dirname(HERE)]!r}\n"
        f"import test_allocation_failure as t\n"
        f"print(json.dumps(t.{function.__name__}(ctypes.CDLL({str(shim)!r}))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TALL = (28, 60, 64)


def layer_of_two_parts():
    """Of 16 rows of `TALL` and of 12, which are one block and want more scratch."""
    g = rng(2)
    return fastdw.SeparableConv2D(signed(g, (3, 3, 64)), signed(g, (64, 12000)), padding="same")


def test_a_later_part_wants_more_scratch():
    layer = layer_of_two_parts()

    def planned(word, height):
        return float(re.search(rf"^{word} +([\d.]+)", layer.plan((height, *TALL[1:])), re.M)[1])

    assert planned("scratch", 12) > planned("scratch", 16)
    assert planned("estimate", 28) > 20_000  # in microseconds; what is brief has one part


def calls():
    """Name: threads, and what a call returns, given `out` and a number of threads."""
    g = rng(1)
    x, taps, mixer = signed(g, (1, 40, 41, 20)), signed(g, (3, 3, 20)), signed(g, (20, 33))
    batch, late, slopes = np.concatenate([x] * 8), signed(g, (1, 7, 7, 256)), signed(g, 20)
    rows, normal = np.moveaxis(x, -1, 1).copy(), fastdw.BatchNorm(*batch_norm(g, 33))
    activated = fastdw.SeparableConv2D(
        taps, mixer, padding="same", pre_activation="relu", depthwise_activation="swish"
    )
    first = fastdw.SeparableConv2D(taps, mixer, data_format="NCHW")
    shared = fastdw.SeparableConv2D(signed(g, (3, 3, 256)), signed(g, (256, 96)), padding="same")
    pointwise = fastdw.PointwiseConv2D(mixer, data_format="NCHW")
    tall, parted = signed(g, TALL), layer_of_two_parts()
    stored = pickle.dumps(first)
    symbol = Input((40, 41, 20))
    mixed = activated(symbol)
    net = Network(symbol, ops.multiply(mixed, ops.global_average_pool(mixed)))

    def build(out, n):
        before = ("prelu", slopes)
        layer = fastdw.SeparableConv2D(taps, mixer, pre_activation=before, batch_norm=normal)
        return layer(x, out=out, num_threads=n)

    return {
        "build": (1, build),
        "unpickle": (1, lambda out, n: pickle.loads(stored)(rows, out=out, num_threads=n)),
        "in place": (1, lambda out, n: fastdw.depthwise_conv2d(x, taps, out=out, num_threads=n)),
        "activated": (1, lambda out, n: activated(x, out=out, num_threads=n)),
        "channels first": (1, lambda out, n: first(rows, out=out, num_threads=n)),
        "pointwise": (1, lambda out, n: pointwise(rows, out=out, num_threads=n)),
        "in parts": (1, lambda out, n: parted(tall, out=out, num_threads=n)),
        "threads": (5, lambda out, n: activated(batch, out=out, num_threads=n)),
        "network": (1, lambda out, n: net(x, out=out, num_threads=n)),
        "shared buffer": (3, lambda out, n: shared(late, out=out, num_threads=n)),
    }


def in_a_thread(function, *arguments):
    """Its result, or the exception, where no scratch is left over from earlier calls."""
    result = []

    def run():
        try:
            result.append(function(*arguments))
        except Exception as error:
            result.append(error.with_traceback(None))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result[0]


def blocks(shim):
    """What the module holds, as soon as a thread that has ended has given back its scratch."""
    gc.collect()
    counts = [-1, shim.live()]
    while counts[-1] != counts[-2]:
        time.sleep(0.002)
        counts.append(shim.live())
    return counts[-1]


def fail_every_allocation(shim):
    """Name: how many allocations failed, and how many blocks were lost."""
    kernel = np.ones((1, 1), np.float32)
    crowd = [fastdw.PointwiseConv2D(kernel) for _ in range(200)]  # the registry grows now
    del crowd
    report = {}
    for name, (threads, call) in calls().items():
        wanted = call(None, 1)
        canary = np.full_like(wanted, 12345)
        before, failed, n = blocks(shim), True, 0
        while failed:
            n += 1
            out = canary.copy()
            shim.arm(n)
            got = in_a_thread(call, out, threads)
            failed = shim.disarm()
            if isinstance(got, MemoryError):
                assert failed, name
                assert np.array_equal(out, canary), name
            else:  # nothing failed, or what failed was a worker's: the others did its share
                assert threads > 1 or not failed, name
                assert np.array_equal(got, wanted), (name, got)
            assert np.array_equal(in_a_thread(call, out, threads), wanted), name
        report[name] = threads, n - 1, blocks(shim) - before
    return report


def test_failed_allocations(shim):
    for name, (threads, failures, lost) in preloaded(shim, fail_every_allocation).items():
        assert failures > 0, name
        # The pool and the scratch of its workers stay.
        assert lost <= (0 if threads == 1 else threads), name


def fail_threads(shim):
    """How many workers there are after calls while few, or none, can be started."""
    _, call = calls()["threads"]
    wanted, workers = call(None, 1), []
    for allowed in (0, 0, 2, 9):
        shim.allow_threads(allowed)
        assert np.array_equal(call(None, 6), wanted)
        workers.append(_core.config()["pool"]["threads"])
    return workers


def test_threads_that_cannot_be_started(shim):
    assert preloaded(shim, fail_threads) == [0, 0, 2, 5]
