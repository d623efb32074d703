"""Whether a tag may be released: `python .ci/check_version.py v1.2.3`.

The tag is the version of pyproject.toml, the changelog has a dated section of it, and whoever finds
the package is told where it comes from.
"""

import re
import sys
from pathlib import Path


def problems(tag: str, metadata: str, changelog: str) -> list[str]:
    """What is wrong, in sentences."""
    version = re.search(r'^version = "([^"]+)"$', metadata, re.M)
    if version is None:
        return ["pyproject.toml has no version"]
    found = []
    if tag != f"v{version[1]}":
        found.append(f"the tag is {tag}, but pyproject.toml has version {version[1]}")
    urls = re.search(r"^\[project\.urls\]\n((?:.*=.*\n)*)", metadata, re.M)
    for name in ("Repository", "Documentation", "Changelog"):
        if urls is None or f"{name} = " not in urls[1]:
            found.append(f"pyproject.toml has no {name} under [project.urls]")
    heading = re.escape(version[1])
    if not re.search(rf"^## \[?{heading}\]?( - | · |, )\d{{4}}-\d\d-\d\d$", changelog, re.M):
        found.append(f'CHANGELOG.md has no line "## {version[1]} - YYYY-MM-DD"')
    unreleased = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    if unreleased and unreleased[1].strip():
        found.append("CHANGELOG.md has unreleased changes")
    return found


def main(tag: str) -> int:
    root = Path(__file__).parents[1]
    files = (root / "pyproject.toml", root / "CHANGELOG.md")
    found = problems(tag, *(path.read_text(encoding="utf-8") for path in files))
    print("\n".join(found) or f"{tag}: as it should be")
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
