#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/tpu_startup.sh [boot]
#   bash launch/tpu_startup.sh install [SOURCE] | status | stop
#   bash launch/tpu_startup.sh start | loop CONFIG WORKDIR [FLAGS...]
#
# Runs on every worker of a TPU slice. tpu_vm.sh calls its commands through ssh.
# As the startup script of the VM it is called without one: it reads the VM's
# attributes threedim-source, -config, -workdir and -flags, installs the code
# and starts the loop of launch/local.sh. So training resumes after maintenance
# or a restart of the VM with nobody connected. It uses these files:
#
#   /opt/threedim_jax/{code/, venv/, log, pid, exit}
#
# install   gets the code from SOURCE, gs://.../code.tar.gz or a git address,
#           ADDRESS@REF (default: keeps code/), and makes venv/
# start     runs the loop in the background, unless it runs already
# status    prints one line: worker HOST idle | running PID | exited CODE
# stop      sends SIGTERM and waits until everything is saved
# loop      runs the loop in the foreground
# THREEDIM_DIR=...   another folder than /opt/threedim_jax
set -euo pipefail

dir=${THREEDIM_DIR:-/opt/threedim_jax}
code=$dir/code
# After these exit codes the loop restarts. 134: a peer was lost; all workers
# restart and meet again.
restart_on=75,124,134,137,143

die() {
  echo "error: $*" >&2
  exit 2
}

# attribute NAME: of this VM; empty if it is not set.
attribute() {
  curl -sf -H 'Metadata-Flavor: Google' \
    "http://metadata.google.internal/computeMetadata/v1/instance/attributes/$1" ||
    :
}

fetch() {
  case $1 in
    '') [[ -d $code ]] || die "no code in $code, and no SOURCE" ;;
    gs://*)
      gcloud storage cp "$1" "$dir/code.tar.gz"
      mkdir -p "$code"
      tar -xzf "$dir/code.tar.gz" -C "$code"
      ;;
    *)
      local address=$1 ref=HEAD
      # The last "@" starts the ref, unless it is that of user@host.
      [[ $1 =~ ^(.+[/:].+)@([^@:/]+)$ ]] &&
        address=${BASH_REMATCH[1]} ref=${BASH_REMATCH[2]}
      [[ -d $code/.git ]] || git init --quiet "$code"
      git -C "$code" fetch --quiet --depth=1 "$address" "$ref"
      git -C "$code" checkout --quiet --force FETCH_HEAD
      ;;
  esac
}

install() {
  mkdir -p "$dir"
  fetch "${1:-}"
  # The images have Python 3.10, which JAX no longer supports. uv brings 3.12.
  if [[ ! -x $dir/venv/bin/python ]]; then
    python3 -m pip install --quiet --target "$dir/uv" uv
    "$dir/uv/bin/uv" venv --python 3.12 "$dir/venv"
  fi
  # Each time, as setup.py may have changed. It takes a second if it has not.
  "$dir/uv/bin/uv" pip install --python "$dir/venv/bin/python" \
    -e "${code}[tpu]"
}

running() {
  [[ -s $dir/pid ]] && kill -0 "$(<"$dir/pid")" 2>/dev/null
}

loop() {
  (($# >= 2)) || die "CONFIG and WORKDIR are missing"
  local config=$1 workdir=$2 exit_code=0
  shift 2
  cd "$code" 2>/dev/null || die "no code in $code; install first"
  PYTHON=$dir/venv/bin/python bash "$code/launch/local.sh" \
    "$config" "$workdir" --env=tpu --max_restarts=1000 \
    --restart_on="$restart_on" -- "$@" || exit_code=$?
  echo "$exit_code" >"$dir/exit"
  return "$exit_code"
}

start() {
  (($# >= 2)) || die "CONFIG and WORKDIR are missing"
  if running; then
    echo "worker $(hostname) runs already"
  else
    rm -f "$dir/exit"
    # setsid: the loop outlives the ssh connection.
    setsid nohup bash "$code/launch/tpu_startup.sh" loop "$@" >>"$dir/log" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    status
  fi
}

status() {
  local state=idle
  if running; then
    state="running $(<"$dir/pid")"
  elif [[ -s $dir/exit ]]; then
    state="exited $(<"$dir/exit")"
  elif [[ -s $dir/pid ]]; then
    state="exited 137" # it left no exit code, so it was killed
  fi
  echo "worker $(hostname) $state"
}

stop() {
  local waited=0
  if running; then
    # local.sh gets the signal and passes it on to the program.
    pkill -TERM --session "$(<"$dir/pid")" -f launch/local.sh || :
    while running; do
      ((waited % 10)) || echo "worker $(hostname) saves, ${waited}s"
      ((waited < 600)) || die "still running after 600 s; delete the TPU instead"
      sleep 1
      waited=$((waited + 1))
    done
  fi
  status
}

boot() {
  local source config workdir flags
  source=$(attribute threedim-source)
  config=$(attribute threedim-config)
  workdir=$(attribute threedim-workdir)
  [[ -n $source && -n $config && -n $workdir ]] ||
    die "this VM lacks the attributes threedim-source, -config or -workdir; tpu_vm.sh create --source=... sets them"
  # tpu_vm.sh has quoted the words for a shell.
  eval "flags=($(attribute threedim-flags))"
  rm -f "$dir/pid" # of a process before the VM's restart
  if [[ -s $dir/exit && ,$restart_on, != *,$(<"$dir/exit"),* ]]; then
    status # training has ended for good; a restart of the VM changes nothing
  else
    install "$source"
    start "$config" "$workdir" "${flags[@]}"
  fi
}

word=${1:-boot}
(($# == 0)) || shift
case $word in
  -h | --help) sed -n '4,/^[^#]/s/^#\( \|$\)//p' "${BASH_SOURCE[0]}" ;;
  boot | install | start | status | stop | loop) "$word" "$@" ;;
  *) die "unknown command $word; --help lists them" ;;
esac
