"""Options, the instruction sets as fixtures, and the last line of a run."""

import functools
import os

import hypothesis
import pytest
import support
from fastdw import _core

ISAS = _core.config()["isas"]
REQUIRED = [name for name in os.environ.get("FASTDW_REQUIRE_ISA", "").lower().split(",") if name]
UNSUPPORTED = [
    name for name in dict.fromkeys([*ISAS["built"], *REQUIRED]) if name not in ISAS["supported"]
]
tested: set[str] = set()


def pytest_addoption(parser):
    parser.addoption(
        "--emulated",
        action="store_true",
        help="only the tests marked `emulated`, on a tenth of their cases: for a slow CPU",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "emulated: worth its time on an emulated CPU")
    support.emulated = config.getoption("--emulated")
    hypothesis.settings.register_profile(
        "fastdw",
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=20 if support.emulated else 200,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("fastdw")


def pytest_collection_modifyitems(config, items):
    if not support.emulated:
        return
    chosen = [item for item in items if item.get_closest_marker("emulated")]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def pytest_terminal_summary(terminalreporter):
    skipped = [name for name in UNSUPPORTED if name not in REQUIRED]
    terminalreporter.write_line(
        f"fastdw instruction sets: active {ISAS['active']}; "
        f"tested {', '.join(n for n in ISAS['built'] if n in tested) or 'none'}; "
        f"skipped {', '.join(skipped) or 'none'}"
    )


def pytest_generate_tests(metafunc):
    """Parametrise over every instruction set, and over every entry of its table of kernels."""
    names = [*ISAS["supported"], *UNSUPPORTED]
    if "isa" in metafunc.fixturenames:
        metafunc.parametrize("isa", names, indirect=True)
    for fixture, prefix in [("dwconv", "dwconv_"), ("pwconv", "pwconv_")]:
        if fixture in metafunc.fixturenames:
            entries = [
                (isa, kernel)
                for isa in names
                for kernel in (_core.kernels(isa) if isa not in UNSUPPORTED else [prefix])
                if kernel.startswith(prefix)
            ]
            metafunc.parametrize(fixture, entries, indirect=True, ids="-".join)


def _claim(isa):
    if isa in REQUIRED and isa in UNSUPPORTED:
        pytest.fail(f"FASTDW_REQUIRE_ISA names {isa}, but this CPU or this build lacks it")
    if isa in UNSUPPORTED:
        pytest.skip(f"{isa} is built, but this CPU lacks it")
    tested.add(isa)
    return isa


@pytest.fixture
def isa(request):
    """The name of an instruction set, for tests that call the core."""
    return _claim(request.param)


@pytest.fixture
def dwconv(request):
    """(instruction set, name) of a depthwise kernel."""
    _claim(request.param[0])
    return request.param


@pytest.fixture
def pwconv(request):
    """(instruction set, name) of a pointwise kernel."""
    _claim(request.param[0])
    return request.param


@pytest.fixture
def forced_isa(isa, monkeypatch):
    """The instruction set that every operator and layer of the test runs on."""
    for name in ("Depthwise", "Pointwise"):
        packed = functools.partial(getattr(_core, name), isa=isa)
        monkeypatch.setattr(_core, name, packed)
    return isa
