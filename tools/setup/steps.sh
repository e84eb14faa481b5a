# Sourced by tools/setup.sh: running a step, with a sign of life, one line for a failure, and an
# interrupt that reaches all that runs.

say() { echo "setup: $*"; }
die() { say "FAILED: $*" >&2; exit 1; }

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
