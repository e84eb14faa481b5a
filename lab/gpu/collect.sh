#!/usr/bin/env bash
# Collects into .whl, which git ignores, the wheels that the GPU machine lacks, and says how much
# travels with the tree. Again: only what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
MOST=60 # MiB
die() { echo "collect.sh: $*" >&2; exit 1; }

for candidate in "${PYTHON:-}" .venv/bin/python python3; do
  [ -n "$candidate" ] && "$candidate" -m pip --version >/dev/null 2>&1 && python=$candidate && break
done
[ -n "${python:-}" ] || die 'no Python with pip: set PYTHON'

# pip's list of tags is exact, so tags older than the machine's have to be named too.
where=(--no-deps '--only-binary=:all:' --python-version 3.12 --implementation cp)
for tag in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux1; do
  where+=(--platform "${tag}_x86_64")
done
mkdir -p .whl
wanted=$(grep -v '^#' lab/gpu/wheels.txt)
for wheel in $wanted; do
  name=$(tr '-' '_' <<<"${wheel%%==*}")
  compgen -G ".whl/$name-${wheel##*==}-*.whl" >/dev/null && continue
  rm -f .whl/"$name"-[0-9]*.whl # Two versions of one package stop the whole install.
  "$python" -m pip download -qq "${where[@]}" -d .whl "$wheel" ||
    die "$wheel: no such wheel; look for another version and change lab/gpu/wheels.txt"
done
have=$(find .whl -type f -name '*.whl' | wc -l)
[ "$have" -eq "$(wc -w <<<"$wanted")" ] || die "$have wheels in .whl: delete it and run again"

tree=$({ git ls-files -z --cached --others --exclude-standard; } | xargs -0 stat -c %s 2>/dev/null | awk '{ s += $1 } END { print int(s / 1048576) + 1 }')
wheels=$(find .whl -type f -name '*.whl' -printf '%s\n' | awk '{ s += $1 } END { print int(s / 1048576) + 1 }')
echo "tree $tree MiB, $have wheels $wheels MiB, of $MOST MiB in all"
[ $((tree + wheels)) -le "$MOST" ] || die 'that is too much to travel'
