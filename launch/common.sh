# shellcheck shell=bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts of this folder; source it. It defines functions only.

die() {
  echo "error: $*" >&2
  exit 2
}

# say_alive TEXT COMMAND...: runs COMMAND, with a line every 5 seconds in which
# it may well be silent. Its output goes to a log that is shown if it fails.
say_alive() {
  local text=$1 start=$SECONDS log status=0 pid
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if (((SECONDS - start) % 5 == 4)) && kill -0 "$pid" 2>/dev/null; then
      echo "$text, $((SECONDS - start))s elapsed"
      sleep 1
    fi
  done
  wait "$pid" || status=$?
  ((status == 0)) || cat "$log" >&2
  rm -f "$log"
  echo "$text, done in $((SECONDS - start))s"
  return "$status"
}

# find_python: prints a Python interpreter of version 3.11 or later.
find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
      2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  die "no Python 3.11 or later found; install one or name it: PYTHON=/path/to/python3.11 bash $0"
}

# install REPO VENV EXTRAS: a virtual environment with this project in it.
# Does nothing if setup.py has not changed since the last time.
install() {
  local repo=$1 venv=$2 extras=$3 python stamp
  stamp="$venv/.installed$extras-$(cksum <"$repo/setup.py" | tr ' ' -)"
  [[ -e "$stamp" ]] && return
  python=$(find_python)
  # A half-made one, as Debian leaves without python3-venv, is made again.
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
    say_alive "make the virtual environment $venv" \
      "$python" -m venv --clear "$venv" ||
    die "no virtual environment; on Debian: apt install python3-venv"
  say_alive "install threedim_jax$extras" \
    "$venv/bin/python" -m pip install --disable-pip-version-check \
    -e "$repo$extras" || die "pip failed, see above; is there a network?"
  touch "$stamp"
}

# use_env FILE: exports the XLA flags of FILE that this jaxlib knows.
use_env() {
  local python=$1 file=$2 XLA_FLAGS_BEFORE=${XLA_FLAGS:-} flags
  flags=$(sed -n 's/^XLA_FLAGS=//p' "$file")
  if XLA_FLAGS=$flags JAX_PLATFORMS=cpu "$python" -c \
    'import jax; jax.devices()' >/dev/null 2>&1; then
    export XLA_FLAGS="$flags $XLA_FLAGS_BEFORE"
  else
    echo "note: this jaxlib does not know $flags; running without" >&2
  fi
}
