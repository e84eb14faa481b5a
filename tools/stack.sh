#!/usr/bin/env bash
# Set up another stack in an environment of its own below work_dirs/stacks, run the fast tests and
# one training on it, and put the result into docs/machines.md:
#
#   make stack PYTHON=python3.12 TORCH=2.11.0 FAMILY=onedl NUMPY=1.26.4
#
# FAMILY is openmmlab or onedl; what is left out is what tools/setup.sh takes by itself. An
# environment of it takes up to 6 GB where pip brings a torch with CUDA.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

torch=${TORCH:-$(sed -n 's/^usual_torch=torch==//p' tools/setup.sh)}
family=${FAMILY:-openmmlab}
case $family in openmmlab | onedl) ;; *)
  echo "stack: FAMILY is openmmlab or onedl, not $family" >&2
  exit 2
  ;;
esac
version=$("${PYTHON:-python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
venv=work_dirs/stacks/python$version-torch$torch-$family${NUMPY:+-numpy$NUMPY}
mkdir -p work_dirs/stacks
PYTHON=${PYTHON:-python3} bash tools/setup.sh "$venv" "$torch" "$family" ${NUMPY:+"$NUMPY"}
exec "$venv/bin/python" tools/check_stack.py
