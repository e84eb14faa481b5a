#!/usr/bin/env bash
# Make .venv with everything that ge_det needs. Safe to interrupt and to run again: each step looks
# at what is there before it does anything, and when nothing is missing all of it takes a second.
#
#   tools/setup.sh                     `make setup`, `make demo` and `make test` begin with it
#   PYTHON=python3.12 tools/setup.sh   with another interpreter
#
# The versions stand in pyproject.toml; only torch, which it leaves open, is chosen here.
set -euo pipefail

CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=$root/.venv
py=$venv/bin/python
log=$root/work_dirs/setup.log
stamp=$venv/ge_det-ready
build=$venv/mmcv-build
peers=$venv/peers

pinned() { grep -o "\"$1[<>=][^\"]*" pyproject.toml | head -n 1 | tr -d '"'; }
torch=torch==2.13.0
mmcv=$(pinned mmcv)
wheels=${XDG_CACHE_HOME:-${HOME:-$venv}/.cache}/ge_det/$torch

# A shell prepared for another environment must not leak into this one.
unset PYTHONHOME PYTHONPATH
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1

say() { echo "setup: $*"; }
die() { say "FAILED: $*" >&2; exit 1; }
pip() { "$py" -m pip "$@"; }
in_path() { command -v "$1" >/dev/null; }
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# ---- when nothing is missing --------------------------------------------------------------------

# What .venv was made from and what is installed in it; when either changes, the steps look again.
fingerprint() {
  {
    echo "$root"
    "$py" -VV
    cat pyproject.toml tools/setup.sh
    ls "$venv"/lib/python3*/site-packages | grep -F .dist-info || true
    ls "$peers" || true
  } 2>&1 | cksum
}

python_as_asked() { [ -z "${PYTHON:-}" ] || [ "$(version "$PYTHON")" = "$(version "$py")" ]; }

end_if_ready() {
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] && python_as_asked || return 0
  say "ready ($("$py" -V) in $venv)"
  exit 0
}

# ---- running a step -----------------------------------------------------------------------------

job=
# A step is a process group of its own: an interrupt has to reach the compilers below pip, too.
stop_job() {
  local signal
  [ -n "$job" ] || return 0
  for signal in INT TERM KILL; do # INT first, on which pip clears away what it has unpacked
    kill "-$signal" -- "-$job" 2>/dev/null || return 0
    for _ in {1..15}; do
      kill -0 -- "-$job" 2>/dev/null || return 0
      sleep 0.2
    done
  done
}
trap stop_job EXIT
trap 'die "line $LINENO of tools/setup.sh (all of it: $log)"' ERR # never silently
trap 'echo; say "interrupted; run it again and it goes on"; exit 130' INT TERM HUP

objects_compiled() {
  local plan
  plan=$(find "$build" -name build.ninja 2>/dev/null | head -n 1)
  [ -n "$plan" ] || return 0
  printf ', %d of %d objects compiled' \
    "$(find "$build" -name '*.o' | wc -l)" "$(grep -c '^build .*\.o:' "$plan")"
}

# step TITLE COMMAND...: output to the log, a sign of life every 20 s, one line if it fails.
step() {
  try_step "$@"
  [ -z "$why" ] || die "$1: $why (all of it: $log)"
}

# The same for a step that can be done without: it only leaves the reason for a failure in $why. As
# the left side of && or || its command would no longer stop at the first error.
try_step() {
  local title=$1 begun=$SECONDS told=0 now from
  shift
  say "$title"
  from=$(wc -l <"$log")
  set -m
  "$@" >>"$log" 2>&1 </dev/null &
  job=$!
  set +m
  while kill -0 "$job" 2>/dev/null; do
    sleep 0.2
    now=$((SECONDS - begun))
    if ((now >= told + 20)); then
      told=$now
      say "$(printf '  %d:%02d min' $((now / 60)) $((now % 60)))$(objects_compiled)"
    fi
  done
  why=
  if wait "$job"; then job='' && return; fi
  job=''
  why=$(tail -n "+$((from + 1))" "$log" |
    grep -aE '^ *(ERROR|error|[A-Za-z]+Error)\b|FAIL|fatal error' | tail -n 1 || true)
  why=${why:-it ended with an error}
}

# ---- the environment ----------------------------------------------------------------------------

# The setup.py of mmcv 2.1.0 breaks on 3.13.
suits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; }

find_python() {
  local candidate candidates=(python3.11 python3 python3.12 python3.10)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if suits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  candidate=${PYTHON:-python3}
  die "Python 3.10, 3.11 or 3.12 is needed and $candidate is not" \
    "($("$candidate" -V 2>&1 | tail -n 1)): make PYTHON=/path/to/python3.11 setup"
}

# Who holds descriptor 9 holds the lock, so it ends with the last process of a set-up.
take_turns() {
  local lock='import fcntl, sys; fcntl.flock(9, fcntl.LOCK_EX | int(sys.argv[1]) * fcntl.LOCK_NB)'
  exec 9>>"$log.lock"
  "$python" -c "$lock" 1 2>/dev/null && return
  say 'another set-up is at work here; waiting for it'
  "$python" -c "$lock" 0 2>/dev/null || true # a file system without locks
}

make_venv() {
  if "$py" -c 'import pip' 2>/dev/null && suits "$py"; then
    python_as_asked || die "$venv has Python $(version "$py") and $PYTHON is asked for:" \
      "rm -rf '$venv' and run again"
    drop_half_installed
    return
  fi
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    die "$python has no venv module; on Debian and Ubuntu: apt-get install python3-venv"
  # --clear, for an interrupted run may have left half an environment.
  step "environment: .venv with $("$python" -V)" "$python" -m venv --clear "$venv"
}

# pip writes INSTALLER last; without it an interruption hit and pip would believe the package whole.
drop_half_installed() {
  local info
  for info in "$venv"/lib/python3*/site-packages/*.dist-info; do
    [ -f "$info/INSTALLER" ] || rm -rf "$info"
  done
}

install_all() {
  step 'packages: ge_det and all it needs (mmdet, mmengine, ...)' \
    "$py" -m pip install --no-build-isolation -e '.[openmmlab,lab,dev,docs]'
  "$py" -c 'import cv2' 2>>"$log" ||
    step 'opencv: the headless build, as the other wants libraries of a desktop' swap_opencv
}

swap_opencv() {
  local version
  version=$("$py" -c 'from importlib.metadata import version as v; print(v("opencv-python"))')
  pip uninstall -y opencv-python
  pip install --no-deps --force-reinstall "opencv-python-headless==$version"
  "$py" -c 'import cv2'
}

# A CUDA torch brings the one it was made with; for any other it is there for the tests only.
get_triton() {
  "$py" -c 'import triton' 2>>"$log" && return
  try_step "$(pinned triton): its interpreter, for the tests of the GPU kernels" \
    "$py" -m pip install --no-deps "$(pinned triton)"
  [ -z "$why" ] || say "triton: not there ($why); the tests of the GPU kernels are skipped"
}

# ---- torchvision and timm, aside ----------------------------------------------------------------

get_peers() {
  local wanted
  wanted=("$(pinned torchvision)" "$(pinned timm)")
  [ -d "$peers/${wanted[0]/==/-}.dist-info" ] && [ -d "$peers/${wanted[1]/==/-}.dist-info" ] &&
    return
  try_step "peers: ${wanted[*]}, into a folder of their own" fill_peers "${wanted[@]}"
  [ -z "$why" ] ||
    say "peers: not there ($why); the tests against mmpretrain's and timm's models are skipped," \
      "and tools/train_classifier.py needs a torchvision. To try again: rm '$stamp'"
}

# Under its name only when whole, so that an interrupted one is not taken for it.
fill_peers() {
  rm -rf "$peers" "$peers.part"
  pip install --no-deps --target "$peers.part" "$@"
  mv "$peers.part" "$peers"
}

# ---- mmcv and its ops ---------------------------------------------------------------------------

mmcv_is_there() {
  "$py" -c "import importlib.metadata as m; assert 'mmcv==' + m.version('mmcv') == '$mmcv'" \
    2>/dev/null
}

# The question to ask a wheel: does one of its ops run with the torch in use?
mmcv_runs() {
  "$py" - >>"$log" 2>&1 <<'END'
import torch
from mmcv.ops import nms

device = 'cuda' if torch.cuda.is_available() else 'cpu'
nms(torch.eye(4, device=device), torch.ones(4, device=device), 0.5)
END
}

# Wheels of earlier builds, ours and then pip's. Neither cache knows which torch a wheel fits.
cached_wheels() {
  local name
  name=mmcv-${mmcv#*==}-cp$(version "$py" | tr -d .)
  ls "$wheels/$name"-*.whl 2>/dev/null || true
  pip cache list --format=abspath "$name" 2>/dev/null | grep -F .whl || true
}

# get_mmcv TEST: an mmcv that passes the test, from a cached wheel or else compiled.
get_mmcv() {
  local wheel
  while IFS= read -r wheel <&3; do
    say "mmcv: trying the cached $wheel"
    use_wheel "$wheel" >>"$log" 2>&1 && "$1" && return
    say 'mmcv: that one does not fit here'
  done 3< <(cached_wheels)
  need_compiler
  jobs=${MAX_JOBS:-$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)}
  say "mmcv: compiling its ops, once; it may take some $((20 / jobs + 1)) minutes"
  step "mmcv: $jobs compilers at a time (MAX_JOBS=1 where memory is short)" build_mmcv
  "$1" || die "mmcv compiled, but its ops do not run here (all of it: $log)"
}

use_wheel() { pip install --no-deps --force-reinstall "$1"; }

need_compiler() {
  local candidate
  for candidate in "${CXX:-c++}" g++ clang++; do
    in_path "$candidate" || continue
    export CXX=$candidate
    "$py" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' \
      2>/dev/null && return
    die "Python.h of $("$py" -V) is missing; on Debian and Ubuntu: apt-get install python3-dev"
  done
  die 'no C++ compiler for the ops of mmcv; on Debian and Ubuntu: apt-get install g++'
}

# The sources stay unpacked until a wheel is done, so that ninja goes on after an interruption.
build_mmcv() {
  local source=$build/${mmcv/==/-}
  if [ ! -f "$source/setup.py" ]; then
    mkdir -p "$build/unpacked"
    pip download --no-deps --no-build-isolation --no-binary mmcv -d "$build" "$mmcv"
    tar -xzf "$source.tar.gz" -C "$build/unpacked"
    mv "$build/unpacked/${source##*/}" "$source"
  fi
  # PATH is for ninja. Debug symbols would make it half as long again. And pip's cache would hand
  # out the wheel that this very folder gave before, whatever torch that was for.
  PATH=$venv/bin:$PATH CFLAGS=-g0 MMCV_WITH_OPS=1 MAX_JOBS=$jobs "$py" -m pip wheel \
    --no-deps --no-build-isolation --no-cache-dir --use-pep517 -w "$build" "$source"
  use_wheel "$build"/mmcv-*.whl
  mkdir -p "$wheels"
  mv "$build"/mmcv-*.whl "$wheels"
  rm -rf "$build"
}

# ---- all of it ----------------------------------------------------------------------------------

end_if_ready
mkdir -p "${log%/*}"
python=$(find_python) || exit
take_turns
end_if_ready
rm -f "$stamp"
: >"$log"

make_venv
mmcv_is_there || [ -n "$(cached_wheels)" ] || need_compiler # now, not after a large download
if in_path nvidia-smi && ! PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin in_path nvcc; then
  say 'this machine has a GPU but no nvcc: the ops of mmcv will be for the CPU only'
  export CUDA_VISIBLE_DEVICES=
fi
# setuptools in the same breath: torch would bring a newer one, on which mmcv does not build.
step "torch: $torch and the build tools (large, once)" \
  "$py" -m pip install 'pip>=23.1' "$torch" "$(pinned setuptools)" wheel ninja
mmcv_is_there || get_mmcv mmcv_is_there
install_all
if ! mmcv_runs; then
  step 'mmcv: its ops do not run; do the packages below it?' "$py" -c 'import torch, mmengine'
  get_mmcv mmcv_runs
fi
get_triton
get_peers
step 'check: every piece, as ge-det doctor does' "$py" ge_det/cli/doctor.py

fingerprint >"$stamp"
say "ready ($("$py" -V) in $venv)"
