"""The same bits from every SIMD instruction set."""

import json

import bits
import pytest

pytestmark = pytest.mark.emulated

STORED = json.loads(bits.STORED.read_text())


def test_every_case_is_stored():
    assert STORED.keys() == bits.CASES.keys()


def test_same_bits_on_every_instruction_set(forced_isa):
    if forced_isa == "scalar":
        pytest.skip("scalar multiplies and adds: within the bound, not the same bits")
    assert {case: bits.digest(case) for case in bits.CASES} == STORED
