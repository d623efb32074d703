"""Networks in a service: forks, interrupts, the end of a process, as layers have it."""

import os
import signal

import pytest
import test_services as services

# `check` and `keep_busy` then run a network.
PRELUDE = (
    services.PRELUDE
    + """
import service
from fastdw import ops
from fastdw.network._network import Network
from fastdw.network._record import Input
symbol = Input((24, 25, 32))
y = layer(symbol)
service.layer = layer = Network(symbol, ops.softmax(ops.multiply(y, ops.global_average_pool(y))))
service.wanted = wanted = layer(x, num_threads=1)
"""
)


def run(program, *arguments, **options):
    return services.run(program, *arguments, prelude=PRELUDE, **options)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_under_load():
    run(services.FORKS, 60, 3, warnings="ignore::DeprecationWarning")


@pytest.mark.parametrize("how", services.ENDS, ids=lambda how: how or "return")
def test_daemon_threads_do_not_disturb_the_end(how):
    run(f"check(); keep_busy(3); time.sleep(0.01)\n{how}\n", code=services.ENDS[how])


INTERRUPT = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background begin without
symbol = Input((64, 64, 64))
tall = fastdw.SeparableConv2D(signed(3, 3, 64), signed(64, 256), padding="same")
back = fastdw.SeparableConv2D(signed(3, 3, 256), signed(256, 64), padding="same")
y = symbol
for _ in range(5):
    y = back(tall(y))
net = Network(symbol, y)
batch, out, sent = np.broadcast_to(signed(64, 64, 64), (200, 64, 64, 64)).copy(), None, []
out = np.zeros((200, *net.outputs[0].shape[1:]), np.float32)

def interrupt():
    while not out[0].any():
        time.sleep(0.001)
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    net(batch, out=out)
except KeyboardInterrupt:
    print(time.monotonic() - sent[0])
assert not out[-1].any()
check()
"""


def test_an_interrupt_ends_a_long_run():
    assert float(run(INTERRUPT)) >= 0


def test_signal_handlers_that_compute():
    if not hasattr(signal, "setitimer"):
        pytest.skip("needs interval timers")
    run(services.SIGNALS)


def test_no_call_imports_anything():
    imports = """
before = {*sys.modules}
layer(x, out=np.empty_like(wanted))
layer(x[0], num_threads=3)
layer.profile(x, repetitions=1, mode="dict")
print(*sorted({*sys.modules} - before))
"""
    assert run(imports).split() == []
