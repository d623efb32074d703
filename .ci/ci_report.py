"""Pytest plugin: leaves "instruction-sets passed failed" in $CI_REPORT for the table of `.ci/run`.

The tested process speaks for itself. Another one would not do: a child that an emulated Python
starts runs on the real CPU.
"""

import os
from pathlib import Path


def pytest_terminal_summary(terminalreporter):
    import fastdw

    config = fastdw.show_config("dict")
    kinds = {"isas": "CI_ISA", "isas8": "CI_ISA8", "isas16": "CI_ISA16"}
    # There may be none of float16.
    active = {name: str(config[isas]["active"]) for isas, name in kinds.items()}
    passed, failed = (
        sum(len(terminalreporter.stats.get(kind, [])) for kind in kinds)
        for kinds in (["passed"], ["failed", "error"])
    )
    expected = {name: os.environ.get(name, isa) for name, isa in active.items()}
    if active != expected or not passed:
        terminalreporter.write_line(f"{passed} tests on {active}, expected some on {expected}")
        failed += 1
    sets = "+".join(isa for isa in active.values() if isa != "None")
    Path(os.environ["CI_REPORT"]).write_text(f"{sets} {passed} {failed}\n")
