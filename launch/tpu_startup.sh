#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/tpu_startup.sh              as the startup script of a TPU VM
#   bash launch/tpu_startup.sh install [SOURCE]
#   bash launch/tpu_startup.sh start CONFIG WORKDIR [FLAGS...]
#   bash launch/tpu_startup.sh status | stop | loop CONFIG WORKDIR [FLAGS...]
#
# What runs on every worker of a TPU slice. Without a word it is the VM's startup
# script: it reads the attributes threedim-source, -config, -workdir and -flags
# of the VM, installs and runs the loop of launch/local.sh, so that training
# goes on after maintenance or a restart of the VM with nobody connected. With a
# word it is what tpu_vm.sh calls through ssh, with the same files:
#
#   /opt/threedim_jax/{code/, venv/, log, pid, exit}
#
# install   code from SOURCE, gs://.../code.tar.gz or a git address, ADDRESS@REF
#           (default: what is in code/ already), and a virtual environment
# start     runs the loop in the background; does nothing if one runs
# status    one line: worker HOST idle | running PID | exited CODE
# stop      SIGTERM, and waits until everything is saved
# loop      the loop in the foreground
# THREEDIM_DIR=...  another folder than /opt/threedim_jax
# --dry-run  (last) prints the commands and touches nothing
set -euo pipefail

dir=${THREEDIM_DIR:-/opt/threedim_jax}
code=$dir/code

die() {
  echo "error: $*" >&2
  exit 2
}

do_() {
  if ((dry_run)); then
    local line
    printf -v line '%q ' "$@"
    echo "${line% }"
  else
    "$@"
  fi
}

# attribute NAME: of this VM; nothing if it is not set.
attribute() {
  curl -sf -H 'Metadata-Flavor: Google' \
    "http://metadata.google.internal/computeMetadata/v1/instance/attributes/$1" ||
    :
}

fetch() {
  case $1 in
    '') [[ -d $code ]] || ((dry_run)) || die "no code in $code, and no SOURCE" ;;
    gs://*)
      do_ gcloud storage cp "$1" "$dir/code.tar.gz"
      do_ mkdir -p "$code"
      do_ tar -xzf "$dir/code.tar.gz" -C "$code"
      ;;
    *)
      local address=$1 ref=HEAD
      # The last "@" starts the ref, unless it is that of user@host.
      [[ $1 =~ ^(.+[/:].+)@([^@:/]+)$ ]] &&
        address=${BASH_REMATCH[1]} ref=${BASH_REMATCH[2]}
      [[ -d $code/.git ]] || do_ git init --quiet "$code"
      do_ git -C "$code" fetch --quiet --depth=1 "$address" "$ref"
      do_ git -C "$code" checkout --quiet --force FETCH_HEAD
      ;;
  esac
}

install() {
  do_ mkdir -p "$dir"
  fetch "${1:-}"
  # The images have Python 3.10, which JAX no longer supports: uv brings one.
  if ((dry_run)) || [[ ! -x $dir/venv/bin/python ]]; then
    do_ python3 -m pip install --quiet --target "$dir/uv" uv
    do_ "$dir/uv/bin/uv" venv --python 3.12 "$dir/venv"
  fi
  # Again after each change of the code; a second without one.
  do_ "$dir/uv/bin/uv" pip install --python "$dir/venv/bin/python" \
    -e "${code}[tpu]"
}

running() {
  [[ -s $dir/pid ]] && kill -0 "$(<"$dir/pid")" 2>/dev/null
}

loop() {
  (($# >= 2)) || die "CONFIG and WORKDIR are missing"
  local config=$1 workdir=$2 exit_code=0
  shift 2
  cd "$code" 2>/dev/null || ((dry_run)) || die "no code in $code; install first"
  # 134: the peers of a lost worker; they all start again and meet.
  do_ env PYTHON="$dir/venv/bin/python" bash "$code/launch/local.sh" \
    "$config" "$workdir" --env=tpu --max_restarts=1000 \
    --restart_on=75,124,134,137,143 -- "$@" || exit_code=$?
  ((dry_run)) || echo "$exit_code" >"$dir/exit"
  return "$exit_code"
}

# loop_in_background CONFIG WORKDIR FLAGS...: one at a time.
start() {
  (($# >= 2)) || die "CONFIG and WORKDIR are missing"
  if running; then
    echo "worker $(hostname) runs already"
    return
  fi
  if ((dry_run)); then
    loop "$@"
    return
  fi
  rm -f "$dir/exit"
  # The loop outlives the ssh connection that started it.
  setsid nohup bash "$code/launch/tpu_startup.sh" loop "$@" >>"$dir/log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
  status
}

status() {
  if running; then
    echo "worker $(hostname) running $(<"$dir/pid")"
  elif [[ -s $dir/exit ]]; then
    echo "worker $(hostname) exited $(<"$dir/exit")"
  elif [[ -s $dir/pid ]]; then
    echo "worker $(hostname) exited 137" # without a word: killed
  else
    echo "worker $(hostname) idle"
  fi
}

stop() {
  local pid waited=0
  if running; then
    pid=$(<"$dir/pid")
    # The whole session: local.sh and, through it, the program.
    do_ pkill -TERM --session "$pid" -f launch/local.sh || :
    while ((!dry_run)) && running; do
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
  # Words as a shell quotes them, by tpu_vm.sh.
  eval "flags=($(attribute threedim-flags))"
  rm -f "$dir/pid" # of before the restart of the VM
  if [[ -s $dir/exit ]]; then
    case $(<"$dir/exit") in
      75 | 124 | 134 | 137 | 143) ;; # so a shutdown ends it
      *)
        status # it ended for good; a restart of the VM changes nothing
        return
        ;;
    esac
  fi
  install "$source"
  start "$config" "$workdir" "${flags[@]}"
}

dry_run=0
if [[ ${!#} == --dry-run ]]; then
  dry_run=1
  set -- "${@:1:$#-1}"
fi
word=${1:-boot}
(($# == 0)) || shift
case $word in
  -h | --help) sed -n '4,/^[^#]/s/^#\( \|$\)//p' "${BASH_SOURCE[0]}" ;;
  boot)
    if ((dry_run)); then
      install SOURCE
      start CONFIG WORKDIR
    else
      boot
    fi
    ;;
  install | start | status | stop | loop) "$word" "$@" ;;
  *) die "unknown word $word; --help lists them" ;;
esac
