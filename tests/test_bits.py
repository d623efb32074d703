"""The same bits from every SIMD instruction set and every number of threads."""

import json

import bits
import fastdw
import pytest

pytestmark = pytest.mark.emulated

STORED = json.loads(bits.STORED.read_text())


def test_every_case_is_stored():
    assert STORED.keys() == bits.CASES.keys()


def test_same_bits_on_every_instruction_set(forced_isa):
    if forced_isa == "scalar":
        pytest.skip("scalar multiplies and adds: within the bound, not the same bits")
    assert {case: bits.digest(case) for case in bits.CASES} == STORED


@pytest.mark.parametrize("case", [case for case in bits.CASES if not case.startswith("curve")])
def test_same_bits_for_every_number_of_threads(forced_isa, case):
    digests = set()
    for count in range(1, 9):
        with fastdw.threads(count):
            digests.add(bits.digest(case))
    assert len(digests) == 1
