#!/usr/bin/env bash
# Make .venv with everything that ge_det needs. Safe to interrupt and to run again: each step looks
# at what is there before it does anything, and when nothing is missing all of it takes a second.
#
#   tools/setup.sh                     `make setup`, `make demo` and `make test` begin with it
#   PYTHON=python3.12 tools/setup.sh   with another interpreter
#   tools/setup.sh FOLDER TORCH FAMILY [NUMPY]   another stack, elsewhere: `make stack`
#
# The versions stand in pyproject.toml; only torch, which it leaves open, is chosen here.
set -euo pipefail

CDPATH='' cd -- "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=$root/${1:-.venv}
py=$venv/bin/python
log=$root/work_dirs/setup.log
[ $# = 0 ] || log=$venv.log
stamp=$venv/ge_det-ready
build=$venv/mmcv-build
peers=$venv/peers

pinned() { grep -o "\"$1[<>=][^\"]*" pyproject.toml | head -n 1 | tr -d '"'; }
usual_torch=torch==2.13.0
torch=torch==${2:-${usual_torch#*==}}
family=${3:-openmmlab}
numpy=${4:+numpy==$4}
mmcv=$(pinned "$([ "$family" = openmmlab ] || echo "$family-")mmcv")
mmcv=${mmcv%%,*}      # where a range is asked for,
mmcv=${mmcv/>=/==}    # its lowest
wheels=${XDG_CACHE_HOME:-${HOME:-$venv}/.cache}/ge_det/optimised/$torch

# A shell prepared for another environment must not leak into this one.
unset PYTHONHOME PYTHONPATH
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1

pip() { "$py" -m pip "$@"; }
in_path() { command -v "$1" >/dev/null; }
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

. tools/setup/steps.sh
. tools/setup/mmcv.sh

# ---- when nothing is missing --------------------------------------------------------------------

# What .venv was made from and what is installed in it; when either changes, the steps look again.
fingerprint() {
  {
    echo "$root"
    "$py" -VV
    echo "$torch $family $numpy"
    cat pyproject.toml tools/setup.sh tools/setup/*.sh
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

# ---- the environment ----------------------------------------------------------------------------

# What ge_det/cli/doctor.py allows, too, and why.
suits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
  local candidate candidates=(python3.11 python3 python3.12 python3.13 python3.10)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    if suits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  candidate=${PYTHON:-python3}
  die "Python 3.10 to 3.13 is needed and $candidate is not" \
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

works() { "$py" -c 'import pip' 2>/dev/null && suits "$py"; }

# Where it would be cleared for a new environment, a folder must be one that was made here.
refuse_foreign() {
  [ -z "$(ls -A "$venv" 2>/dev/null)" ] || [ -f "$stamp" ] || [ -e "$log.lock" ] || works ||
    die "$venv holds what was not made here: move it away, or give another folder"
}

make_venv() {
  if works; then
    python_as_asked || die "$venv has Python $(version "$py") and $PYTHON is asked for:" \
      "rm -rf '$venv' and run again"
    drop_half_installed
    return
  fi
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    die "$python has no venv module; on Debian and Ubuntu: apt-get install python3-venv"
  # --clear, for an interrupted run may have left half an environment.
  step "environment: ${venv#"$root/"} with $("$python" -V)" "$python" -m venv --clear "$venv"
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
    "$py" -m pip install --no-build-isolation -e ".[$family,export,lab,dev,docs]" ${numpy:+"$numpy"}
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

# Without the torchvision and the OpenCV that it asks for, which would not be those of this stack.
get_grad_cam() {
  "$py" -c 'from importlib.metadata import version as v; v("grad-cam"), v("ttach")' 2>>"$log" &&
    return
  try_step "$(pinned grad-cam): what detections follow from" \
    "$py" -m pip install --no-deps "$(pinned grad-cam)" ttach
  [ -z "$why" ] || say "grad-cam: not there ($why); its tests are skipped"
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

# ---- all of it ----------------------------------------------------------------------------------

end_if_ready
mkdir -p "${log%/*}"
python=$(find_python) || exit
refuse_foreign # before there is a lock, by which the next run knows this one
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
  "$py" -m pip install 'pip>=23.1' "$torch" "$(pinned setuptools)" wheel ninja ${numpy:+"$numpy"}
mmcv_is_there || get_mmcv mmcv_is_there
install_all
if ! mmcv_runs; then
  step 'mmcv: its ops do not run; do the packages below it?' "$py" -c 'import torch, mmengine'
  get_mmcv mmcv_runs
fi
get_triton
get_grad_cam
[ "$torch" != "$usual_torch" ] || get_peers # a torchvision goes with one torch
step 'check: every piece, as ge-det doctor does' "$py" -m ge_det doctor

fingerprint >"$stamp"
say "ready ($("$py" -V) in $venv)"
