"""A service that reads handwritten digits, on the standard library alone.

    python examples/http_service.py 8000
    curl --data-binary @digits.npy http://127.0.0.1:8000/

A request is a .npy file of uint8 (N, 8, 8) from 0 to 16; the answer is JSON, one digit an image.
Each request has a thread of its own. The layers are shared by all of them, for they never change;
the calls use one thread each, since there are as many requests as cores when it matters.
"""

import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fastdw
import numpy as np
from fastdw.demo.network import DigitNetwork, as_input, load

MAX_BYTES = 1 << 20

network = DigitNetwork(load()[0])


def read(body: bytes) -> list[int]:
    """The digits of the images in a .npy file; ValueError for anything else."""
    images = np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (8, 8):
        msg = f"the images must be uint8 (N, 8, 8), got {images.dtype} {images.shape}"
        raise ValueError(msg)
    with fastdw.threads(1):
        return network(as_input(images)).argmax(axis=1).tolist()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BYTES:
            # What was sent is not read, so the connection cannot go on.
            self.close_connection = True
            self.answer(413, {"error": f"send Content-Length, at most {MAX_BYTES}"})
            return
        try:
            answer = {"digits": read(self.rfile.read(int(length)))}
        except (ValueError, EOFError, MemoryError) as error:
            self.answer(400, {"error": str(error)})
        else:
            self.answer(200, answer)

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a line a request costs more than the request."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main(port: int) -> None:
    with Server(("127.0.0.1", port), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
