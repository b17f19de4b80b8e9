# shellcheck shell=bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
# The loop of `tpu_vm.sh babysit`, which sources this file. Each turn decides by
# the present state alone, so you can kill the loop and start it again.
# shellcheck disable=SC2154  # tpu_vm.sh sets the variables

# worker_lines: a line "worker HOST idle | running PID | exited CODE" of each
# worker; fails if none answers.
worker_lines() {
  on_workers all "sudo bash $startup status 2>/dev/null || echo worker NEW idle" |
    grep '^worker '
}

# training_state LINES: idle, running, or the exit code to act on.
training_state() {
  local code
  # shellcheck disable=SC2046  # one word per code
  code=$(verdict $(sed -n 's/.* exited //p' <<<"$1"))
  if [[ $code != 0 ]]; then
    echo "$code"
  elif [[ $1 == *" running "* ]]; then
    echo running
  elif [[ $1 == *" idle"* ]]; then
    echo idle
  else
    echo 0
  fi
}

# tpu_state: MISSING, COMING, READY, LOST or FAILED.
tpu_state() {
  local queued node
  queued=$(queued_state) || return
  case $queued in
    ACTIVE)
      node=$(node_state) || return
      case $node in
        READY) echo READY ;;
        CREATING | STARTING | RESTARTING | REPAIRING) echo COMING ;;
        *) echo LOST ;; # PREEMPTED, TERMINATED, STOPPED, MISSING
      esac
      ;;
    MISSING | FAILED) echo "$queued" ;;
    SUSPENDED | SUSPENDING) echo LOST ;;
    *) echo COMING ;; # also DELETING: MISSING comes next
  esac
}

# end CODE: training is over; shows why, and deletes the TPU.
end() {
  local code=$1
  echo "training on $name ended with exit code $code: $(explain "$code")"
  if ((code)); then
    echo "the last lines of worker $opt_worker:"
    logs || echo "(no answer)"
  fi
  if [[ -n $opt_keep ]]; then
    echo "$name stays, and costs money until you delete it"
  else
    retry delete
  fi
  return "$code"
}

dry_babysit() {
  create
  wait_for_it
  if [[ -z $opt_source ]]; then
    setup
    start
  fi
  echo "# every ${opt_poll}s; after a preemption, at most $opt_max_recreates times:"
  delete
  echo "# and all of the above again; when training has ended:"
  [[ -n $opt_keep ]] || delete
}

babysit() {
  local state='' lines outcome='' recreates=0 restarts=0
  local silent=0 failed=0
  check_type
  if ((dry_run)); then
    dry_babysit
    return
  fi
  while :; do
    state=$(tpu_state) || die "gcloud does not answer; resume later: $(again babysit)"
    note "$state${outcome:+, training is $outcome}, $recreates times recreated"
    case $state in
      MISSING)
        create || failed=$((failed + 1))
        ((failed < 3)) || die "$name cannot be created; see above"
        ;;
      FAILED)
        # A missing quota or a wrong type fails again each time.
        failed=$((failed + 1))
        ((failed < 3)) ||
          die "$name failed three times; see why: $(quoted "${tpus[@]}" queued-resources describe "$name" "${place[@]}")"
        delete
        ;;
      LOST)
        ((recreates < opt_max_recreates)) ||
          die "recreated $recreates times, the limit (--max_recreates); delete it: $(again delete)"
        recreates=$((recreates + 1)) failed=0 silent=0 outcome=''
        echo "$name is preempted or broken: recreate $recreates"
        delete
        continue # the next state is MISSING
        ;;
      READY)
        failed=0
        if ! lines=$(worker_lines); then
          # ssh fails in the minutes before a preemption, and by chance.
          silent=$((silent + 1))
          echo "no answer from the workers ($silent of 10)"
          ((silent < 10)) || end 1 || return
        else
          silent=0
          outcome=$(training_state "$lines")
          if [[ $outcome == idle ]]; then
            # With --source the startup script installs and starts.
            [[ -n $opt_source ]] || { retry setup && start; } ||
              echo "setup failed; trying again"
          elif [[ $outcome != running ]]; then
            if ! is_in "$outcome" "$restart_many" ||
              ((restarts == opt_max_recreates)); then
              end "$outcome" || return
              return 0
            fi
            # Something ended the worker's own loop, too, as a shutdown does.
            restarts=$((restarts + 1))
            echo "a worker ended with $outcome: $(explain "$outcome"); start $restarts"
            start || echo "no answer; trying again"
          fi
        fi
        ;;
    esac
    sleep "$opt_poll"
  done
}
