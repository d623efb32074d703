"""The service of http_service.py with Flask, in as many processes as gunicorn is told.

    pip install flask gunicorn
    gunicorn --preload --workers 2 --threads 4 --chdir examples flask_service:app
    curl --data-binary @digits.npy http://127.0.0.1:8000/

With --preload the network is loaded once, before the workers are forked, and all of them share its
memory: nobody writes to it. Each call uses one thread, for the requests already fill the cores;
docs/guide/services.md shows what other settings give.
"""

from flask import Flask, request
from http_service import MAX_BYTES, read

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES  # Flask answers 413 to more


@app.post("/")
def digits() -> tuple[dict[str, object], int]:
    try:
        return {"digits": read(request.get_data())}, 200
    except (ValueError, EOFError, MemoryError) as error:
        return {"error": str(error)}, 400
