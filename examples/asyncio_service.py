"""A service on an event loop that gathers requests into batches.

    python examples/asyncio_service.py 8001

A client sends images of 64 bytes, 8 x 8 pixels from 0 to 16, and gets one byte back for each: the
digit. What arrives while a batch is computed makes up the next one. The call runs on a thread and
releases the GIL, so the loop goes on meanwhile.
"""

import asyncio
import sys

import numpy as np
from fastdw.demo.network import DigitNetwork, as_input, load

PIXELS, MOST = 64, 256

network = DigitNetwork(load()[0])


def read(images: list[bytes]) -> bytes:
    """The digits of a batch, a byte each."""
    pixels = np.frombuffer(b"".join(images), np.uint8).reshape(-1, 8, 8)
    return network(as_input(pixels)).argmax(axis=1).astype(np.uint8).tobytes()


class Batches:
    """Requests that wait for the next batch."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[tuple[bytes, asyncio.Future[bytes]]] = asyncio.Queue(MOST)

    async def ask(self, image: bytes) -> bytes:
        answer = asyncio.get_running_loop().create_future()
        await self.waiting.put((image, answer))
        return await answer

    async def run(self) -> None:
        while True:
            batch = [await self.waiting.get()]
            while not self.waiting.empty():
                batch.append(self.waiting.get_nowait())
            digits = await asyncio.to_thread(read, [image for image, _ in batch])
            for (_, answer), digit in zip(batch, digits, strict=True):
                if not answer.done():  # its client may have gone
                    answer.set_result(bytes([digit]))


async def serve(port: int) -> None:
    batches = Batches()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(await batches.ask(await reader.readexactly(PIXELS)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", port)
    print(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await asyncio.gather(server.serve_forever(), batches.run())


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 8001))
