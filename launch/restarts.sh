# shellcheck shell=bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
# What to do after an exit code of the program. Source it: it only defines.

# After these the same command goes on where it was (README, "Exit codes"): 75
# saved on SIGTERM, 124 watchdog, 137 and 143 killed from outside. With several
# processes also 134, how JAX ends those that have lost a peer.
# shellcheck disable=SC2034  # read by the scripts that source this file
restart_one=75,124,137,143
restart_many=75,124,134,137,143

# is_in CODE LIST: whether CODE is one of the comma-separated LIST.
is_in() {
  [[ ,$2, == *,$1,* ]]
}

# explain CODE: what an exit code of the program means.
explain() {
  case $1 in
    0) echo "done" ;;
    2) echo "bad configuration or input: mend it, see the message above" ;;
    75) echo "stopped by SIGTERM after saving" ;;
    124) echo "no progress: the watchdog ended it" ;;
    134) echo "aborted, as processes are that lost a peer" ;;
    137) echo "killed (SIGKILL: out of memory, or the machine went away)" ;;
    143) echo "killed by SIGTERM before it could save" ;;
    *) echo "a bug, not something that a restart mends: see the trace above" ;;
  esac
}

# verdict CODE...: of the exit codes of several processes, the one to act on.
# A bad configuration first, then a crash, then what a restart mends.
verdict() {
  local code best=0
  for code in "$@"; do
    [[ $code == 2 ]] && echo 2 && return
    [[ $code == 0 ]] || is_in "$code" "$restart_many" || best=$code
  done
  ((best)) && echo "$best" && return
  for best in 75 124 137 143 134; do
    [[ " $* " == *" $best "* ]] && echo "$best" && return
  done
  echo 0
}

# keep_running RESTART_ON MAX PAUSE SIGNAL COMMAND...: starts COMMAND again as
# long as it exits with one of RESTART_ON, at most MAX times. TERM and INT
# reach it as SIGNAL, once; it saves, and is then not started again.
keep_running() {
  local restart_on=$1 max=$2 pause=$3 signal=$4
  local restarts=0 code pid="" told=0 interrupted
  shift 4
  trap 'interrupted=1; ((told++)) || kill -s "$signal" $pid 2>/dev/null || :' \
    TERM INT
  while :; do
    "$@" &
    pid=$!
    ((told == 0)) || kill -s "$signal" "$pid" # told before there was a pid
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
      echo "started again $max times, the limit (--max_restarts)"
      break
    fi
    restarts=$((restarts + 1))
    echo "restart $restarts of at most $max in ${pause}s"
    sleep "$pause" &
    wait $! || kill $! 2>/dev/null || : # a signal ends the wait
    ((told == 0)) || break
  done
  trap - TERM INT
  return "$code"
}
