"""An interrupt ends a long call of a layer of 8-bit integers, as it does of floats."""

from test_services import run

INTERRUPT = """
signal.signal(signal.SIGINT, signal.default_int_handler)
q = fastdw.Quantization(0.05)
taps, scales = np.ones((31, 31, 64), np.int8), np.full(64, 0.01, np.float32)
layer = fastdw.QuantizedDepthwiseConv2D(taps, scales, input=q, output=q, padding="same")
batch = np.broadcast_to(np.int8(1), (4000, 8, 64, 64))
out = np.zeros(batch.shape, np.int8)

def interrupt():
    while not out[0, 0].any():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    layer(batch, out=out)
except KeyboardInterrupt:
    print("ended")
assert not out[-1, -1].any()
check()
"""


def test_an_interrupt_ends_a_long_call_of_integers():
    assert run(INTERRUPT).strip() == "ended"
