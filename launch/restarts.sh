# shellcheck shell=bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
# What to do after each exit code of the program (launch/README.md, "Exit
# codes"). Sourcing it only defines functions.

# After these codes the same command resumes. With several processes also 134:
# JAX aborts the processes whose peer was lost.
# shellcheck disable=SC2034  # the scripts that source this file read them
restart_one=75,124,137,143
restart_many=75,124,134,137,143

# is_in CODE LIST: whether CODE is in the comma-separated LIST.
is_in() {
  [[ ,$2, == *,$1,* ]]
}

# explain CODE: what an exit code of the program means.
explain() {
  case $1 in
    0) echo "done" ;;
    2) echo "bad configuration or input: see the message above" ;;
    75) echo "stopped by SIGTERM after saving" ;;
    124) echo "no progress: the watchdog ended it" ;;
    130) echo "stopped by Ctrl-C, without saving" ;;
    134) echo "aborted, as after the loss of another process" ;;
    137) echo "killed by SIGKILL: out of memory, or the machine went away" ;;
    143) echo "killed by SIGTERM before it could save" ;;
    *) echo "a bug that a restart does not cure: see the trace above" ;;
  esac
}

# verdict CODE...: the one of several processes' exit codes to act on: first a
# bad configuration, then a crash, then a code after which a restart resumes.
verdict() {
  local code crash=0
  for code in "$@"; do
    [[ $code == 2 ]] && echo 2 && return
    [[ $code == 0 ]] || is_in "$code" "$restart_many" || crash=$code
  done
  ((crash == 0)) || { echo "$crash" && return; }
  for code in 75 124 137 143 134; do
    [[ " $* " == *" $code "* ]] && echo "$code" && return
  done
  echo 0
}

# keep_running RESTART_ON MAX PAUSE COMMAND...: starts COMMAND again while it
# exits with one of RESTART_ON, at most MAX times. After SIGTERM or Ctrl-C it
# sends COMMAND one SIGTERM, waits while it saves and does not start it again.
keep_running() {
  local restart_on=$1 max=$2 pause=$3
  local restarts=0 code pid="" told=0 interrupted
  shift 3
  trap 'interrupted=1; ((told++)) || kill $pid 2>/dev/null || :' TERM INT
  while :; do
    "$@" &
    pid=$!
    ((told == 0)) || kill "$pid" # the signal came before there was a pid
    # A signal ends `wait`, not the process: wait again for its exit code.
    while :; do
      interrupted=0 code=0
      wait "$pid" || code=$?
      ((interrupted)) || break
    done
    pid=
    echo "exit code $code: $(explain "$code")"
    if ((told)) || ! is_in "$code" "$restart_on"; then
      break
    fi
    if ((restarts == max)); then
      echo "restarted $max times, the limit (--max_restarts)"
      break
    fi
    restarts=$((restarts + 1))
    echo "restart $restarts of at most $max in ${pause}s"
    sleep "$pause" &
    wait $! || kill $! 2>/dev/null || : # a signal ends the pause
    ((told == 0)) || break
  done
  trap - TERM INT
  return "$code"
}
