"""What the release workflow checks, and the workflows themselves; in a checkout alone."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci/check_version.py"
if not SCRIPT.exists():
    pytest.skip("needs a checkout: .ci/check_version.py", allow_module_level=True)
problems = runpy.run_path(str(SCRIPT))["problems"]

URLS = "".join(f'{name} = "https://…"\n' for name in ("Repository", "Documentation", "Changelog"))
METADATA = f'[project]\nname = "fastdw"\nversion = "1.2.3"\n\n[project.urls]\n{URLS}\n[tool]\n'
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 1.2.3 - 2026-12-01\n\n### Added\n\n- All.\n"


def test_a_release_as_it_should_be():
    assert problems("v1.2.3", METADATA, CHANGELOG) == []
    assert problems("v1.2.3", METADATA, CHANGELOG.replace("## Unreleased\n\n", "")) == []


@pytest.mark.parametrize(
    ("tag", "metadata", "changelog", "words"),
    [
        ("v1.2.4", METADATA, CHANGELOG, "the tag is v1.2.4, but pyproject.toml has version 1.2.3"),
        ("1.2.3", METADATA, CHANGELOG, "the tag is 1.2.3"),
        ("v1.2.3", METADATA, CHANGELOG.replace("1.2.3", "1.2.30"), "no line"),
        ("v1.2.3", METADATA, CHANGELOG.replace(" - 2026-12-01", ""), "no line"),
        ("v1.2.3", METADATA, CHANGELOG.replace("eased\n", "eased\n\n- New.\n"), "unreleased"),
        ("v1.2.3", '[project]\nname = "fastdw"\n', CHANGELOG, "no version"),
    ],
)
def test_what_is_wrong(tag, metadata, changelog, words):
    (sentence,) = problems(tag, metadata, changelog)
    assert words in sentence


WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_hash(workflow):
    """A tag can be moved to other code; a hash cannot. The version behind it is for people."""
    used = re.findall(r"uses: (.*)", workflow.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"\./.*|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_every_wheel_has_a_job():
    wanted = re.search(r"^build = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.M)
    jobs = re.search(r"python: \[(.*)\]", (ROOT / ".github/workflows/wheels.yml").read_text())
    assert re.findall(r'"(\w+)-\*"', wanted[1]) == jobs[1].split(", ")
