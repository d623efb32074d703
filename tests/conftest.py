"""Options, the instruction sets as fixtures, and the last lines of a run."""

import os

import hypothesis
import pytest
import support
from fastdw import _core
from fastdw._isa import packed_for

ISAS, ISAS8, ISAS16 = _core.config()["isas"], _core.config8(), _core.config16()
REQUIRED = [name for name in os.environ.get("FASTDW_REQUIRE_ISA", "").lower().split(",") if name]
tested: set[str] = set()
tested8: set[str] = set()
tested16: set[str] = set()
# Parameters by which a test forces an instruction set, of floats or of bytes.
FORCING = ("isa", "dwconv", "pwconv", "isa8")
# Kernels that no plain depthwise or pointwise convolution takes.
OF_OTHER_SHAPES = ("_in_block", "_multiplied", "_windows")


def pytest_addoption(parser):
    parser.addoption(
        "--emulated",
        action="store_true",
        help="only the tests marked `emulated`, on eight of many cases: for a slow CPU",
    )
    parser.addoption(
        "--forced",
        metavar="ISA,...",
        help="where tests force every instruction set in turn, these alone: "
        "for a run beside one that has the others; '' for none",
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


def pytest_sessionstart():
    missing = [name for name in REQUIRED if name not in ISAS["supported"]]
    if missing:
        pytest.exit(f"FASTDW_REQUIRE_ISA: not here: {', '.join(missing)}", returncode=1)


def pytest_ignore_collect(collection_path, config):
    """An emulated CPU takes seconds to collect a module of which it then runs nothing."""
    if config.getoption("--emulated") and collection_path.name.startswith("test_"):
        return True if "mark.emulated" not in collection_path.read_text() else None
    return None


def forced_by(item):
    """The instruction set that a test forces, or None."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for name in FORCING:
        if name in parameters:
            value = parameters[name]
            return value[0] if isinstance(value, tuple) else value
    return None


def pytest_collection_modifyitems(config, items):
    chosen = items
    if support.emulated:
        chosen = [item for item in chosen if item.get_closest_marker("emulated")]
    forced = config.getoption("--forced")
    if forced is not None:
        chosen = [item for item in chosen if forced_by(item) in (None, *forced.split(","))]
    config.hook.pytest_deselected(items=list(set(items) - set(chosen)))
    items[:] = chosen


def pytest_terminal_summary(terminalreporter):
    kinds = [("floats", ISAS, tested), ("integers", ISAS8, tested8)]
    if ISAS16["built"]:
        kinds.append(("float16", ISAS16, tested16))
    for kind, sets, ran in kinds:
        skipped = [name for name in sets["built"] if name not in sets["supported"]]
        terminalreporter.write_line(
            f"fastdw instruction sets of {kind}: active {sets['active']}; "
            f"tested {', '.join(n for n in sets['built'] if n in ran) or 'none'}; "
            f"skipped, because this CPU lacks them: {', '.join(skipped) or 'none'}"
        )


def pytest_generate_tests(metafunc):
    """Parametrise over every instruction set, and over every entry of its table of kernels."""
    if "isa" in metafunc.fixturenames:
        metafunc.parametrize("isa", ISAS["supported"], indirect=True)
    if "isa8" in metafunc.fixturenames:
        metafunc.parametrize("isa8", ISAS8["supported"], indirect=True)
    if "isa16" in metafunc.fixturenames:
        metafunc.parametrize("isa16", ISAS16["supported"], indirect=True)
    for fixture in {"dwconv", "pwconv"}.intersection(metafunc.fixturenames):
        entries = [
            (isa, kernel)
            for isa in ISAS["supported"]
            for kernel in _core.kernels(isa)
            if kernel.startswith(fixture)
            and not kernel.endswith(("_in_block", "_multiplied", "_windows"))
        ]
        metafunc.parametrize(fixture, entries, indirect=True, ids="-".join)


@pytest.fixture
def isa(request):
    """The name of an instruction set, for tests that call the core."""
    tested.add(request.param)
    return request.param


@pytest.fixture
def isa8(request):
    """The name of an instruction set of integers, for tests that call their core."""
    tested8.add(request.param)
    return request.param


@pytest.fixture
def isa16(request):
    """The name of an instruction set with sums of float16: that of all layers, for there is one."""
    tested16.add(request.param)
    return request.param


@pytest.fixture
def dwconv(request):
    """(instruction set, name) of a depthwise kernel."""
    tested.add(request.param[0])
    return request.param


@pytest.fixture
def pwconv(request):
    """(instruction set, name) of a pointwise kernel."""
    tested.add(request.param[0])
    return request.param


@pytest.fixture
def forced_isa(isa):
    """The instruction set that every operator and layer of the test runs on."""
    with packed_for(isa):
        yield isa
