"""Pytest plugin: leaves "instruction-sets passed failed" in $CI_REPORT for the table of `.ci/run`.

The tested process speaks for itself. Another one would not do: a child that an emulated Python
starts runs on the real CPU.
"""

import os
from pathlib import Path


def pytest_terminal_summary(terminalreporter):
    import fastdw

    config = fastdw.show_config("dict")
    active, active8 = config["isas"]["active"], config["isas8"]["active"]
    passed, failed = (
        sum(len(terminalreporter.stats.get(kind, [])) for kind in kinds)
        for kinds in (["passed"], ["failed", "error"])
    )
    here = f"{active} and {active8}"
    expected = f"{os.environ.get('CI_ISA', active)} and {os.environ.get('CI_ISA8', active8)}"
    if here != expected or not passed:
        terminalreporter.write_line(f"{passed} tests on {here}, expected some on {expected}")
        failed += 1
    Path(os.environ["CI_REPORT"]).write_text(f"{active}+{active8} {passed} {failed}\n")
