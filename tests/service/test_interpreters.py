"""A second interpreter computes, or is told why not; the first one, where it has imported the
package before, is not disturbed."""

import pytest
from test_services import run

INTERPRETERS = """
import importlib, importlib.util, os, sys
kind, place, first = sys.argv[1:]
names = "_interpreters", "_xxsubinterpreters"
found = [name for name in names if importlib.util.find_spec(name)]
if not found:
    print("none")
    sys.exit()
interpreters = importlib.import_module(found[0])
if first == "first":
    from service import check
code = f'''
import os, threading, warnings
warnings.simplefilter("ignore")
def answer():
    try:
        import numpy as np
        from fastdw import depthwise_conv2d
        y = depthwise_conv2d(np.ones((3, 3, 1), np.float32), np.ones((3, 3, 1), np.float32))
        words = f"computed {{y.item()}}"
    except ImportError as error:
        words = f"ImportError {{error}}"
    os.write(1, words.encode())
if {place == "thread"}:
    thread = threading.Thread(target=answer)
    thread.start()
    thread.join()
else:
    answer()
'''
try:
    second = interpreters.create(isolated=kind == "isolated")
except TypeError:  # from Python 3.13 on
    second = interpreters.create(kind)
interpreters.run_string(second, code)
if first == "first":
    check()
if found[0] == "_interpreters":  # which says at the end that some are left
    interpreters.destroy(second)
"""


@pytest.mark.parametrize("first", ["first", "alone"])
@pytest.mark.parametrize(
    ("kind", "place"),
    [("isolated", "caller"), ("legacy", "caller"), ("legacy", "thread")],
)
def test_a_second_interpreter_computes_or_is_refused(kind, place, first):
    """A thread that the second interpreter starts is what a server such as mod_wsgi has."""
    answer = run(INTERPRETERS, kind, place, first, prelude="", seconds=30)
    if answer == "none\n":
        pytest.skip("this Python has no second interpreters")
    assert answer.startswith(("computed 9.0", "ImportError")), answer
    # On a free-threaded Python NumPy refuses second interpreters of every kind.
    if (place, first) == ("thread", "alone") and "numpy._core" not in answer:
        assert answer.startswith("computed 9.0"), answer
