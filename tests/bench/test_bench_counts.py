"""Counted instructions of networks: what becomes of a process's numbers. None runs an emulator."""

import numpy as np
import pytest

from bench.count_neon import networks

LISTING = """\
0000000000000100 0000000000000040 t fastdw::neon::(anonymous namespace)::pack(fastdw::Tile const&)
0000000000000200 0000000000000010 T fastdw::run(fastdw::Plan const&)
0000000000000300 0000000000000008 D fastdw::table
                 U memcpy
"""


def counted(text, base=0x4000):
    return networks.Counted(networks.parse_blocks(text), {"base": base, "module": "m"}, None)


def test_blocks_are_added_up():
    assert networks.parse_blocks("ff 3\n10 4\nff 5\n") == {0xFF: 8, 0x10: 4}
    assert counted("ff 3\n10 4\nff 5\n").total == 12


def test_blocks_belong_to_functions():
    symbols = networks.parse_symbols(LISTING)
    assert [(s.start, s.end) for s in symbols] == [(0x100, 0x140), (0x200, 0x210)]
    # The first and the last byte of a function, behind it, and outside the module.
    functions = counted("4100 1\n413f 2\n4140 4\n4200 8\n1 16\n4300 32\n").functions(symbols)
    names = {networks.short(name): count for name, count in functions.items()}
    assert names == {"pack": 3, "run": 8, networks.ELSEWHERE: 52}


def test_names_are_short():
    kernel = "void fastdw::neon::(anonymous namespace)::dw<5, (TileOptions)8>(fastdw::Tile const&)"
    assert networks.short(kernel) == "dw<5, 8>"
    assert networks.short(f"{kernel} [clone .constprop.0]") == "dw<5, 8>"


def test_a_line_is_for_multiply_adds_of_four_lanes():
    assert networks.table("net", 4_000_000, 1_250_000, 1_500_000).split() == [
        *("net", "4.0", "1250000", "1.250", "1.500")
    ]
    assert networks.table("net", 4_000_000, 1_250_000, None).endswith("–")


def test_another_answer_is_refused():
    ours = np.array([[1.0, -200.0]])
    networks.compared(ours, np.array([1.1, -200.1]))
    for wrong in ([1.3, -200.0], [1.0, np.nan]):
        with pytest.raises(SystemExit, match="away from ours"):
            networks.compared(ours, np.array(wrong))
