"""Conduct in a service: threads, event loops, forks, servers, signals, and the end of a process.

Most of it runs in processes of its own, on the CPU as it is. `long/services.py` takes the same
scenarios to the numbers of a real service.
"""

import asyncio
import http.client
import os
import random
import signal
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fastdw
import numpy as np
import pytest
import service
from support import assert_same, rng, signed

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("FASTDW_", "OMP_"))}
ENVIRONMENT["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)

PRELUDE = """
import os, signal, sys, threading, time
import fastdw
import numpy as np
from service import check, keep_busy, layer, signed, wanted, x
"""


def start(program, *arguments, prelude=PRELUDE, warnings="error", **environment):
    return subprocess.Popen(
        [sys.executable, "-W", warnings, "-c", prelude + program, *map(str, arguments)],
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, code=0, seconds=120):
    """What the process printed; it must end in time, with the code, and with no complaint."""
    with process:
        try:
            printed, complaints = process.communicate(timeout=seconds)
        finally:
            process.kill()
    assert (process.returncode, complaints) == (code, ""), complaints
    return printed


def run(program, *arguments, code=0, seconds=120, **options):
    return finish(start(program, *arguments, **options), code, seconds)


def share_layers(threads, calls):
    """Numbers of wrong results of each of the threads that call two layers at the same time."""
    g = rng(1)
    weights = signed(g, (3, 3, 24)), signed(g, (24, 40))
    last = fastdw.SeparableConv2D(*weights, padding="same", activation="relu6")
    first = fastdw.SeparableConv2D(*weights, padding="same", data_format="NCHW")
    # From calls that keep the GIL to calls that are worth all the threads they ask for.
    shapes = [(1, 1, 24), (5, 4, 24), (3, 7, 7, 24), (23, 40, 24), (2, 31, 30, 24), (64, 65, 24)]
    images = [(last, signed(g, shape)) for shape in shapes]
    images += [(first, np.moveaxis(x, -1, -3).copy()) for _, x in images]
    images += [
        (fastdw.SeparableConv2D(signed(g, (3, 3, 256)), signed(g, (256, 200))), (1, 7, 7, 256)),
        (fastdw.DepthwiseConv2D(signed(g, (5, 5, 48)), 2, "same"), (1, 40, 41, 48)),
        (fastdw.PointwiseConv2D(signed(g, (48, 72))), (1, 40, 41, 48)),
    ]
    images = [(layer, signed(g, x) if isinstance(x, tuple) else x) for layer, x in images]
    wanted = [layer(x, num_threads=1) for layer, x in images]
    together = threading.Barrier(threads)

    def caller(seed):
        choose, wrong = random.Random(seed), 0
        together.wait()
        for _ in range(calls):
            i = choose.randrange(len(images))
            layer, x = images[i]
            wrong += not np.array_equal(layer(x, num_threads=choose.randint(1, 4)), wanted[i])
        return wrong

    with ThreadPoolExecutor(threads) as callers:
        return list(callers.map(caller, range(threads)))


def test_many_threads_share_layers():
    assert share_layers(96, 60) == [0] * 96


def test_calls_from_an_event_loop():
    g = rng(2)
    layer = fastdw.SeparableConv2D(signed(g, (3, 3, 32)), signed(g, (32, 40)), padding="same")
    images = [signed(g, (2, 20 + i, 25, 32)) for i in range(8)]
    wanted = [layer(x, num_threads=1) for x in images]

    async def serve():
        results = await asyncio.gather(
            *(asyncio.to_thread(layer, x, num_threads=1 + i % 4) for i in range(8) for x in images)
        )
        # Nothing stops a call; whoever gives up waiting must not disturb the next one.
        for _ in range(8):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(layer, images[-1]), 0)
        return [*results, *[await asyncio.to_thread(layer, x) for x in images]]

    for got, expected in zip(asyncio.run(serve()), wanted * 9, strict=True):
        assert_same(got, expected)


FORKS = """
def child(generations):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # ends a child that hangs
        check()
        # The parent's workers are not here: the child has started its own.
        assert sys.platform != "linux" or len(os.listdir("/proc/self/task")) >= 4
        good = generations == 0 or os.waitpid(child(generations - 1), 0)[1] == 0
        os._exit(0 if good else 1)
    return pid

check()
keep_busy(int(sys.argv[2]))
children = [child(i % 2) for i in range(8)]
for i in range(8, int(sys.argv[1])):
    assert os.waitpid(children.pop(0), 0)[1] == 0
    children.append(child(i % 2))
    check()
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("busy", [0, 3], ids=["idle", "while other threads compute"])
def test_forks(busy):
    """Children and grandchildren of a process whose pool has started."""
    run(FORKS, 200 if busy else 20, busy, warnings="ignore::DeprecationWarning")


IMPORTS = """
import contextlib, pickle
before = {*sys.modules}
for given in (x, x.view(np.memmap), memoryview(x)):
    layer(given, out=np.empty_like(wanted))
with contextlib.suppress(TypeError):
    layer([x], out=[wanted])
with contextlib.suppress(ValueError):
    layer(x, out=x)
pickle.loads(pickle.dumps(layer))(x, residual=wanted)
fastdw.show_config(mode="dict")
print(*sorted({*sys.modules} - before))
"""


def test_no_call_imports_anything():
    """A child forked while another thread imports a module waits for that import for ever."""
    assert run(IMPORTS).split() == []


SPAWNS = """
import subprocess
keep_busy(3)
for _ in range(20):
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)
    pid = os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", ""], os.environ)
    assert os.waitpid(pid, 0)[1] == 0
    check()
"""


@pytest.mark.skipif(not hasattr(os, "posix_spawn"), reason="needs posix_spawn")
def test_other_programs_are_started_under_load():
    run(SPAWNS)


PROCESSES = """
import multiprocessing

def same(layer, x, wanted):
    return np.array_equal(layer(x, num_threads=3), wanted)

if __name__ == "__main__":
    check()
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.starmap(same, [(layer, x, wanted)] * 8, 1) == [True] * 8
    check()
"""


@linux
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_multiprocessing(tmp_path, method):
    program = tmp_path / "program.py"
    program.write_text(PRELUDE + PROCESSES)
    subprocess.run([sys.executable, program, method], env=ENVIRONMENT, check=True, timeout=120)


SERVER = """
import http.server, socketserver

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        image = np.frombuffer(body, np.float32).reshape(-1, 25, 32)
        answer = layer(image, num_threads=3).tobytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass

class Server(getattr(socketserver, sys.argv[1]), http.server.HTTPServer):
    daemon_threads = True

check()
server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def ask(port, x):
    """The server's answer to a request of its own connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/", x.tobytes())
    with connection.getresponse() as response:
        answer = response.read()
    connection.close()
    assert response.status == 200
    return np.frombuffer(answer, np.float32).reshape(*x.shape[:2], -1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["ForkingMixIn", "ThreadingMixIn"])
def test_a_server_ended_by_sigterm(kind):
    g = rng(3)
    images = [signed(g, (height, 25, 32)) for height in range(1, 41)]
    # The scalar set has bits of its own.
    isa = fastdw.show_config("dict")["isas"]["active"]
    server = start(SERVER, kind, warnings="ignore::DeprecationWarning", FASTDW_ISA=isa)
    try:
        port = int(server.stdout.readline())
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda x: ask(port, x), images))
    finally:
        server.terminate()
    for x, answer in zip(images, answers, strict=True):
        assert_same(answer, service.layer(x))
    finish(server, code=-signal.SIGTERM)


# How a process may end while daemon threads compute, and its code.
ENDS = {
    "": 0,
    "sys.exit(3)": 3,
    "os._exit(4)": 4,
    "threading.Thread(target=sys.exit, args=(5,)).start()": 0,
    "os.kill(os.getpid(), signal.SIGTERM)": -signal.SIGTERM,
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(6)); signal.raise_signal(signal.SIGTERM)": 6,
    "import atexit; atexit.register(check)": 0,
}


def end(how, seed):
    pause = random.Random(seed).uniform(0, 0.03)
    run(f"check(); keep_busy(3); time.sleep({pause})\n{how}\n", code=ENDS[how])


@pytest.mark.parametrize("how", ENDS, ids=lambda how: how or "return")
def test_daemon_threads_do_not_disturb_the_end(how):
    with ThreadPoolExecutor(2) as runs:
        list(runs.map(end, [how] * 3, range(3)))


# A batch, or one tall image, of many parts; the poller interrupts when the first is being filled.
INTERRUPT = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background begin without
check()
taps, wide_taps, matrix = signed(3, 3, 2048), signed(63, 63, 256), signed(2048, 256)
image, call = {
    "depthwise": (signed(64, 64, 256), lambda x, y: fastdw.depthwise_conv2d(
        x, wide_taps, padding="same", out=y)),
    "pointwise": (signed(64, 64, 2048), lambda x, y: fastdw.pointwise_conv2d(x, matrix, out=y)),
    "separable": (signed(64, 64, 2048), lambda x, y: fastdw.separable_conv2d(
        x, taps, matrix, padding="same", out=y)),
}[sys.argv[1]]
images = int(sys.argv[2])
shape = (images, 400 * 64 // images, 64)
batch = np.broadcast_to(image[0], (*shape, image.shape[-1]))
out, sent = np.zeros((*shape, 256), np.float32), []

def interrupt():
    while not out[0, 0].any():
        time.sleep(0.001)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    call(batch, out)
except KeyboardInterrupt:
    print(time.monotonic() - sent[0])
assert not out[-1, -1].any()
check()
"""


@pytest.mark.parametrize("operator", ["depthwise", "pointwise", "separable"])
@pytest.mark.parametrize("images", [400, 1])
def test_an_interrupt_ends_a_long_call(operator, images):
    assert float(run(INTERRUPT, operator, str(images))) >= 0


SIGNALS = """
caught = []
signal.signal(signal.SIGALRM, lambda *_: caught.append(np.array_equal(layer(x), wanted)))
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
while len(caught) < 50:
    check()
signal.setitimer(signal.ITIMER_REAL, 0)
assert all(caught)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_signal_handlers_that_compute():
    run(SIGNALS)


ONE_THREAD = """
tasks = lambda: len(os.listdir("/proc/self/task"))
assert tasks() == 1, tasks()
for _ in range(3):
    layer(x)
assert tasks() == 1, tasks()
if os.fork() == 0:
    layer(x)
    os._exit(0 if tasks() == 1 else 1)
assert os.wait()[1] == 0
check()
assert tasks() == 4, tasks()
"""


@linux
def test_one_thread_starts_none_and_forks_without_a_warning():
    # From Python 3.12 on, a fork of a process with several threads is a DeprecationWarning.
    one = {"FASTDW_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    run(ONE_THREAD, **one)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="has only a GIL")
def test_a_free_threaded_python_stays_free():
    assert run("print(sys._is_gil_enabled())") == "False\n"
