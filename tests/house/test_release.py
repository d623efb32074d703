"""What the release workflow checks; in a checkout alone."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci/check_version.py"
if not SCRIPT.exists():
    pytest.skip("needs a checkout: .ci/check_version.py", allow_module_level=True)
problems = runpy.run_path(str(SCRIPT))["problems"]

METADATA = '[project]\nname = "fastdw"\nversion = "1.2.3"\n'
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
