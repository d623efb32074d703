#!/usr/bin/env bash
# The working tree against the commit where it left a branch, each installed on its own, by fastdw-bench:
#   bash .ci/speed.sh BRANCH [arguments of fastdw-bench run]
# Prints the comparison. Advisory: the status is 0 whatever it says.
set -euo pipefail
cd "$(dirname "$0")/.."
base=$(git merge-base HEAD "$1")
work=$(mktemp -d)
trap 'git worktree remove --force "$work/source"; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/source" "$base"

install() { # NAME SOURCE
  python3 -m venv "$work/$1"
  "$work/$1/bin/pip" install --quiet "$2" >&2
}

measure() { # NAME RESULT ARGUMENT...
  "$work/$1/bin/fastdw-bench" run "${@:3}" --no-check --peers none --output "$work/$2.json" >&2
}

install before "$work/source"
install after .
# Twice, in turn: a runner that slows down in between shows in the two that are alike.
measure before before-1 "${@:2}"
measure after after-1 "${@:2}"
measure before before-2 "${@:2}"
measure after after-2 "${@:2}"
compare() {
  "$work/after/bin/fastdw-bench" compare "$work/$1.json" "$work/$2.json" 2>&1 || true
}
printf '## %s against %s\n\n```\n' "$(git rev-parse --short HEAD)" "$(git rev-parse --short "$base")"
compare before-1 after-1
printf '```\n\n## The same again\n\n```\n'
compare before-2 after-2
printf '```\n\n## What it began from, against itself\n\n```\n'
compare before-1 before-2
printf '```\n'
