"""What a service has: a layer, a request and its answer, and callers that never rest.

The programs of test_services.py import it, each in a process of its own.
"""

import threading

import fastdw
import numpy as np


def signed(*shape):
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


# A call is worth several threads.
layer = fastdw.SeparableConv2D(signed(3, 3, 32), signed(32, 40), padding="same")
x = signed(2, 24, 25, 32)
wanted = layer(x, num_threads=1)


def check():
    for threads in (4, 1, 2):
        assert np.array_equal(layer(x, num_threads=threads), wanted)


def keep_busy(callers, threads=3):
    """Start daemon threads that compute until the process ends."""

    def loop():
        while True:
            layer(x, num_threads=threads)

    for _ in range(callers):
        threading.Thread(target=loop, daemon=True).start()
