"""The scenarios of test_services.py at the numbers of a real service, and its limits of time.

    python tests/long/services.py                all: half an hour on two quiet cores
    python tests/long/services.py lag exits      some

For the scenario `gunicorn`, `pip install gunicorn`. The limits of time mean a machine that does
nothing else. The code is 0 where every scenario held.
"""

import argparse
import asyncio
import contextlib
import importlib.util
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "service"))
import service
import test_services
from support import assert_same, rng, signed


def application(environ, start_response):
    """What gunicorn serves: the layer, applied to the image in the request."""
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    image = np.frombuffer(body, np.float32).reshape(-1, 25, 32)
    answer = service.layer(image, num_threads=3).tobytes()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


def share():
    """96 threads call two layers 2000 times each."""
    wrong = test_services.share_layers(96, 2000)
    assert wrong == [0] * 96


def forks():
    """2000 children, every second with a grandchild, while three threads compute."""
    test_services.run(
        test_services.FORKS, 2000, 3, seconds=600, warnings="ignore::DeprecationWarning"
    )


def exits():
    """500 ends of a process while daemon threads compute."""
    ways = itertools.islice(itertools.cycle(test_services.ENDS), 500)
    with ThreadPoolExecutor(2) as runs:
        list(runs.map(test_services.end, ways, range(500)))


def interrupt():
    """From SIGINT in a long call to KeyboardInterrupt in less than a second."""
    isas = service.fastdw.show_config(mode="dict")["isas"]["supported"]
    operators = "depthwise", "pointwise", "separable"
    for isa, operator, images in itertools.product(isas, operators, ("400", "1")):
        printed = test_services.run(test_services.INTERRUPT, operator, images, FASTDW_ISA=isa)
        print(f"{isa} {operator}, {images} images: {float(printed):.3f} s")
        assert float(printed) < 1 or isa == "scalar"


async def _lags(work, seconds=20):
    """How late the event loop woke while four threads worked: median, 99 %, most, in ms."""
    end, lags = time.monotonic() + seconds, []

    def repeat(height):
        x = signed(rng(1), (height, 25, 32))
        while time.monotonic() < end:
            work(x)

    calls = [asyncio.to_thread(repeat, height) for height in (100, 400, 1000, 4000)]
    tasks = [asyncio.create_task(call) for call in calls]
    while time.monotonic() < end:
        asleep = time.monotonic()
        await asyncio.sleep(0.005)
        lags.append(time.monotonic() - asleep - 0.005)
    await asyncio.gather(*tasks)
    return np.percentile(lags, [50, 99, 100]) * 1000


def lag():
    """The event loop is less than 20 ms late, but for one time in a hundred."""
    for name, work in ("idle", lambda x: time.sleep(0.01)), ("busy", service.layer):
        median, late, most = asyncio.run(_lags(work))
        print(f"{name}: {median:.1f} ms at the median, {late:.1f} at 99 %, {most:.1f} at most")
    assert late < 20


def gunicorn():
    """A server that loads the layer, and starts the pool, before it forks its workers."""
    assert importlib.util.find_spec("gunicorn"), "pip install gunicorn"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (
        "-m gunicorn --preload --workers 4 --threads 2 --log-level warning services:application"
    )
    server = subprocess.Popen(
        [sys.executable, *command.split(), "--bind", f"127.0.0.1:{port}"],
        env=test_services.ENVIRONMENT,
        cwd=pathlib.Path(__file__).parent,
        stderr=subprocess.PIPE,
        text=True,
    )
    images = [signed(rng(height), (height, 25, 32)) for height in range(1, 201)]
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        # Between rounds: fresh workers, one more, and one that ends by force.
        for number in (signal.SIGHUP, signal.SIGTTIN, None):
            with ThreadPoolExecutor(16) as clients:
                answers = list(clients.map(lambda x: test_services.ask(port, x), images))
            for x, answer in zip(images, answers, strict=True):
                assert_same(answer, service.layer(x))
            if number:
                server.send_signal(number)
                time.sleep(3)
    finally:
        server.terminate()
        complaints = server.communicate(timeout=60)[1]
    assert (server.returncode, complaints) == (0, ""), complaints


def outputs():
    """A result of more than 2³¹ elements, in 1 GiB of memory that it fills again and again."""
    import ctypes

    libc, piece = ctypes.CDLL(None, use_errno=True), 2**30
    address, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    libc.mmap.restype = address
    libc.mmap.argtypes = [address, size, number, number, number, ctypes.c_long]
    shape = (2**14 + 64, 2048, 64)
    total = 4 * int(np.prod(shape, dtype=object))
    assert total > 4 * 2**31
    read_write, shared_fixed, private_anonymous_noreserve = 3, 0x11, 0x4022
    base = libc.mmap(None, total, read_write, private_anonymous_noreserve, -1, 0)
    file = os.memfd_create("piece")
    os.ftruncate(file, piece)
    # All but what follows the last whole piece is the same memory.
    for at in range(base, base + total - piece, piece):
        assert libc.mmap(at, piece, read_write, shared_fixed, file, 0) == at
    memory = (ctypes.c_char * total).from_address(base)
    out = np.frombuffer(memory, np.float32).reshape(shape)
    x = np.ones((*shape[:2], 1), np.float32)
    x[-1] = 3
    matrix = np.arange(1, 65, dtype=np.float32)[None]
    service.fastdw.pointwise_conv2d(x, matrix, out=out)
    assert_same(out[-1], np.broadcast_to(3 * matrix, shape[1:]))
    assert_same(out[-2], np.broadcast_to(matrix, shape[1:]))


SCENARIOS = [share, forks, exits, interrupt, lag, gunicorn, outputs]


def main():
    names = [scenario.__name__ for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*names, []], help=", ".join(names))
    chosen, failed = parser.parse_args().names or names, []
    for scenario in SCENARIOS:
        if scenario.__name__ not in chosen:
            continue
        print(f"{scenario.__name__}: {scenario.__doc__}", flush=True)
        start = time.monotonic()
        try:
            scenario()
        except Exception:
            traceback.print_exc()
            failed.append(scenario.__name__)
        print(f"  {time.monotonic() - start:.0f} s", flush=True)
    print(f"failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
