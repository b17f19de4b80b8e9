# shellcheck shell=bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
# The loop of `tpu_vm.sh babysit`, which sources it. It decides from what it
# sees, not from what it did before: it may be killed and started again.
# shellcheck disable=SC2154  # the variables are those of tpu_vm.sh
:

# fate LINES: of the workers' lines "worker HOST idle|running PID|exited CODE".
fate() {
  local state value codes=() idle=0 running=0
  while read -r _ _ state value; do
    case $state in
      running) running=1 ;;
      exited) codes+=("$value") ;;
      *) idle=1 ;;
    esac
  done <<<"$1"
  if ((${#codes[@]})) && [[ $(verdict "${codes[@]}") != 0 ]]; then
    verdict "${codes[@]}"
  elif ((running)); then
    echo running
  elif ((idle)); then
    echo idle
  else
    echo 0
  fi
}

# state_now: MISSING, COMING, READY, LOST or FAILED.
state_now() {
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

end() {
  local code=$1
  echo "training on $name ended with exit code $code: $(explain "$code")"
  if ((code)); then
    echo "the last lines of worker $opt_worker:"
    logs || echo "(no answer)"
  fi
  if [[ -n $opt_keep ]]; then
    echo "$name is kept, and costs until you delete it"
  else
    retry 5 "$opt_poll" delete
  fi
  return "$code"
}

babysit() {
  local state='' lines outcome='' recreates=0 restarts=0
  local silent=0 failed=0
  check_type
  if ((dry_run)); then
    create
    wait_for_it
    if [[ -z $opt_source ]]; then
      setup
      start
    fi
    echo "# every ${opt_poll}s; after a preemption, at most $opt_max_recreates times:"
    delete
    echo "# and all of the above again; after the end of training:"
    [[ -n $opt_keep ]] || delete
    return
  fi
  while :; do
    state=$(state_now) || die "gcloud does not answer; resume later: $(again babysit)"
    note "$state${outcome:+, training is $outcome}, made again $recreates times"
    case $state in
      MISSING)
        create || failed=$((failed + 1))
        ((failed < 3)) || die "$name cannot be created; see above"
        ;;
      FAILED)
        # A quota or a wrong type fails again and again: not forever.
        failed=$((failed + 1))
        ((failed < 3)) ||
          die "$name failed three times; the reason: $(quoted "${tpus[@]}" queued-resources describe "$name" "${place[@]}")"
        delete
        ;;
      LOST)
        ((recreates < opt_max_recreates)) ||
          die "made again $recreates times, the limit (--max_recreates); delete it: $(again delete)"
        recreates=$((recreates + 1)) failed=0 silent=0 outcome=''
        echo "$name is gone, preempted or broken: recreate $recreates"
        delete
        continue # it is MISSING now, or says so soon
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
          outcome=$(fate "$lines")
          case $outcome in
            running) ;;
            idle)
              # A startup script installs by itself.
              [[ -n $opt_source ]] || { retry 3 "$opt_poll" setup && start; } ||
                echo "setup failed; looking again"
              ;;
            *)
              if ! is_in "$outcome" "$restart_many" ||
                ((restarts == opt_max_recreates)); then
                end "$outcome" || return
                return 0
              fi
              # The loop on the worker was ended as well, as by a shutdown.
              restarts=$((restarts + 1))
              echo "a worker ended with $outcome: $(explain "$outcome"); start $restarts"
              start || echo "no answer; looking again"
              ;;
          esac
        fi
        ;;
    esac
    sleep "$opt_poll"
  done
}
