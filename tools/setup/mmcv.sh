# Sourced by tools/setup.sh: mmcv and its compiled operations, from a cached wheel or from source.

mmcv_is_there() {
  "$py" -c "import importlib.metadata as m; assert m.version('${mmcv%==*}') == '${mmcv#*==}'" \
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

in_a_file_name() { echo "${mmcv/==/-}" | sed 's/^onedl-/onedl_/'; }

# Wheels of earlier builds, ours and then pip's. Neither cache knows which torch a wheel fits.
cached_wheels() {
  local name
  name=$(in_a_file_name)-cp$(version "$py" | tr -d .)
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
  say "mmcv: compiling its ops, once; it may take some $((4 / jobs + 1)) minutes," \
    'with those of a GPU a quarter of an hour'
  try_step "mmcv: $jobs compilers at a time (MAX_JOBS=1 where memory is short)" build_mmcv merged
  if [ -n "$why" ]; then
    say "mmcv: with its sources merged it does not compile ($why)"
    rm -rf "$build"
    step 'mmcv: compiling them one by one, which takes longer' build_mmcv
  fi
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

# build_mmcv [merged]: the sources stay unpacked until a wheel is done, so that ninja goes on after
# an interruption.
build_mmcv() {
  local source
  export PYTHONPATH=$root/tools/setup/exec_as_before
  source=$build/$(in_a_file_name)
  if [ ! -f "$source/setup.py" ]; then
    rm -rf "$build/unpacked" # of a run that was stopped while it merged
    mkdir -p "$build/unpacked"
    pip download --no-deps --no-build-isolation --no-binary "${mmcv%==*}" -d "$build" "$mmcv"
    tar -xzf "$source.tar.gz" -C "$build/unpacked"
    [ "${1:-}" != merged ] ||
      "$py" tools/setup/merge_sources.py "$build/unpacked/${source##*/}"
    mv "$build/unpacked/${source##*/}" "$source"
  fi
  # PATH is for ninja. CFLAGS take the place of Python's own, so the optimiser has to be asked for;
  # debug symbols would make it half as long again. And pip's cache would hand out the wheel that
  # this very folder gave before, whatever torch that was for.
  PATH=$venv/bin:$PATH CFLAGS='-O2 -g0' MMCV_WITH_OPS=1 MAX_JOBS=$jobs "$py" -m pip wheel \
    --no-deps --no-build-isolation --no-cache-dir --use-pep517 -w "$build" "$source"
  use_wheel "$build"/*mmcv-*.whl
  mkdir -p "$wheels"
  mv "$build"/*mmcv-*.whl "$wheels"
  rm -rf "$build"
}
