#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/tpu_vm.sh COMMAND NAME --project=P --zone=Z [OPTIONS] [-- FLAGS]
#   bash launch/tpu_vm.sh babysit my-run --project=P --zone=Z --type=v6e-8 --spot \
#     --config=configs/srn_chairs.py --workdir=gs://BUCKET/my-run \
#     -- --config.mesh.fsdp=4 --config.train.per_device_batch_size=8
#
# Runs the program on Cloud TPU VMs that it gets through queued resources. NAME
# names the queued resource and its TPU. You can repeat every COMMAND: it does
# only what is still missing.
#
#   create   asks for a TPU of --type
#   wait     waits until it is ready
#   setup    copies the last commit of this checkout to all workers and installs
#            it there
#   run      starts training on all workers; it does not need your connection
#   logs     shows a worker's log (--worker=0 --lines=100 --follow)
#   status   shows the TPU's state and each worker's: idle, running or exited
#   stop     sends SIGTERM to all workers, which save. The TPU stays and costs
#            money. End babysit first, or it starts them again
#   delete   deletes the TPU; the workdir stays
#   babysit  does all of this until training is done. If the TPU is preempted it
#            asks for another and resumes. At the end, good or bad, it deletes the
#            TPU (--keep: keeps it)
#
# --type=TYPE       v4-8, v5p-8, v5litepod-8, v6e-8, ... (create, babysit)
# --runtime=IMAGE   system image (default: by the type)
# --spot            cheaper, but Google may take the TPU away at any moment
# --config=FILE     configuration, inside this repository (run, babysit)
# --workdir=gs://BUCKET/FOLDER
# --source=WHERE    gs://.../code.tar.gz or git address[@ref]: the VM's startup
#                   script installs it and starts training, instead of setup and
#                   run
# --max_recreates=50  how many TPUs babysit asks for after the first
# --poll=30         seconds between two looks at the state
# --dry-run         print the commands and change nothing
#
# Put --config.mesh.fsdp=4 --config.train.per_device_batch_size=8 after -- for the
# full model: then it fits on v4, v5e, v5p and v6e. On v5e, 4 instead of 8 is
# faster. launch/README.md has a table, "What fits where".
# shellcheck disable=SC2317  # some functions are called by name
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/common.sh
source "$repo/launch/common.sh"
# shellcheck source=launch/restarts.sh
source "$repo/launch/restarts.sh"
# shellcheck source=launch/tpu_babysit.sh
source "$repo/launch/tpu_babysit.sh"

opt_project='' opt_zone='' opt_type='' opt_runtime='' opt_spot='' opt_config=''
opt_workdir='' opt_source='' opt_keep='' opt_worker=0 opt_lines=100
opt_follow='' opt_max_recreates=50 opt_poll=30
command='' name=''
parse_args "project= zone= type= runtime= spot config= workdir= source= keep \
 worker= lines= follow max_recreates= poll= " "$@"
take COMMAND NAME
need project zone
if ! [[ $name =~ ^[a-z]([a-z0-9-]{0,48}[a-z0-9])?$ ]]; then
  die "'$name' cannot be a name: use at most 50 of a-z, 0-9 and -, a letter first and no - last"
fi
need_number lines max_recreates poll
need_tool gcloud "install the Google Cloud CLI and run: gcloud auth login"
place=("--project=$opt_project" "--zone=$opt_zone")
tpus=(gcloud compute tpus)
startup=/opt/threedim_jax/code/launch/tpu_startup.sh

# runtime_of TYPE: the system image that Google names for it.
runtime_of() {
  case $1 in
    v2-* | v3-* | v4-*) echo tpu-ubuntu2204-base ;;
    v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    v6e-*) echo v2-alpha-tpuv6e ;;
    *) die "no runtime is known here for --type=$1; name one: --runtime=..." ;;
  esac
}

check_type() {
  need type
  [[ $opt_type =~ ^v[0-9]+[a-z]*-[0-9]+$ ]] ||
    die "--type=$opt_type is none of v4-8, v5p-8, v5litepod-8, v6e-8, ..."
  opt_runtime=${opt_runtime:-$(runtime_of "$opt_type")}
}

check_job() {
  need config workdir
  need_config "$opt_config"
  # The workers have the repository at another path.
  remote_config=$(realpath "--relative-to=$repo" "${opt_config%%:*}")${opt_config#"${opt_config%%:*}"}
  [[ $remote_config != ../* ]] ||
    die "--config=$opt_config is outside this repository, which is all that the workers get"
  [[ $opt_workdir == gs://?* ]] ||
    die "--workdir=$opt_workdir: a TPU's disk is deleted with it, so a workdir is gs://BUCKET/FOLDER"
}

# retry COMMAND...: at most five times, until it succeeds.
retry() {
  local attempt code=0
  for attempt in 1 2 3 4 5; do
    code=0
    "$@" || code=$?
    ((code && attempt < 5)) || return "$code"
    echo "attempt $attempt of 5 failed with $code: $1; again in ${opt_poll}s" >&2
    sleep "$opt_poll"
  done
}

# lookup COMMAND...: prints its output, or MISSING if there is no such thing.
lookup() {
  local output
  if output=$("$@" 2>&1); then
    echo "${output:-UNKNOWN}"
  elif [[ $output == *NOT_FOUND* || $output == *"not found"* ]]; then
    echo MISSING
  else
    echo "$output" >&2
    return 1
  fi
}

queued_state() {
  retry lookup "${tpus[@]}" queued-resources describe "$name" \
    "${place[@]}" "--format=value(state.state)"
}

node_state() {
  retry lookup "${tpus[@]}" tpu-vm describe "$name" \
    "${place[@]}" "--format=value(state)"
}

# on_workers WORKER TEXT: runs a command on one worker, or on "all".
on_workers() {
  run "${tpus[@]}" tpu-vm ssh "$name" "${place[@]}" "--worker=$1" \
    "--command=$2"
}

create() {
  local state=MISSING metadata
  check_type
  local options=("--node-id=$name" "${place[@]}"
    "--accelerator-type=$opt_type" "--runtime-version=$opt_runtime")
  [[ -z $opt_spot ]] || options+=(--spot)
  if [[ -n $opt_source ]]; then
    check_job
    # "^;^" makes ";" the separator, as the values may hold commas.
    metadata="^;^threedim-source=$opt_source;threedim-config=$remote_config"
    metadata+=";threedim-workdir=$opt_workdir"
    metadata+=";threedim-flags=$(quoted "${program_flags[@]}")"
    options+=("--metadata=$metadata"
      "--metadata-from-file=startup-script=$repo/launch/tpu_startup.sh")
  fi
  ((dry_run)) || state=$(queued_state)
  case $state in
    MISSING)
      run "${tpus[@]}" queued-resources create "$name" "${options[@]}"
      ;;
    FAILED | SUSPENDED)
      die "$name exists, in state $state; first: $(again delete)"
      ;;
    *) echo "$name exists, in state $state" ;;
  esac
}

# note STATE: prints it when it changes, and every five minutes otherwise.
note() {
  if [[ $1 != "$noted" ]] || ((SECONDS - noted_at >= 300)); then
    echo "$(date +%H:%M:%S) $name: $1"
    noted=$1 noted_at=$SECONDS
  fi
}
noted='' noted_at=0

wait_for_it() {
  local state
  if ((dry_run)); then
    quoted "${tpus[@]}" queued-resources describe "$name" "${place[@]}" \
      "--format=value(state.state)"
    echo "# again every ${opt_poll}s until the state is ACTIVE"
    return
  fi
  while :; do
    state=$(queued_state)
    note "$state"
    case $state in
      ACTIVE) return ;;
      FAILED | SUSPENDED | MISSING)
        die "$name does not come, its state is $state; see: $(again status)"
        ;;
    esac
    sleep "$opt_poll"
  done
}

setup() {
  local archive
  archive=${TMPDIR:-/tmp}/threedim_jax-$name.tar.gz
  if [[ -n $(git -C "$repo" status --porcelain 2>/dev/null) ]]; then
    echo "note: the workers get the last commit, without your uncommitted changes" >&2
  fi
  run git -C "$repo" archive --format=tar.gz "--output=$archive" HEAD ||
    return
  run "${tpus[@]}" tpu-vm scp "$archive" "$name:/tmp/threedim_jax.tar.gz" \
    "${place[@]}" --worker=all || return
  run rm -f "$archive"
  on_workers all "sudo mkdir -p /opt/threedim_jax/code && sudo tar -xzf /tmp/threedim_jax.tar.gz -C /opt/threedim_jax/code && sudo bash $startup install"
}

start() {
  on_workers all "sudo bash $startup start $(quoted "$remote_config" \
    "$opt_workdir" "${program_flags[@]}")"
}

logs() {
  on_workers "$opt_worker" \
    "sudo tail -n $opt_lines${opt_follow:+ -F} /opt/threedim_jax/log"
}

status() {
  run "${tpus[@]}" queued-resources describe "$name" "${place[@]}"
  on_workers all "sudo bash $startup status"
  if [[ $opt_workdir == gs://* ]]; then
    run gcloud storage cat "$opt_workdir/heartbeat.json" ||
      echo "no heartbeat.json in $opt_workdir yet"
  fi
}

delete() {
  ((dry_run)) || [[ $(queued_state) != MISSING ]] || return 0
  run "${tpus[@]}" queued-resources delete "$name" "${place[@]}" --force --quiet
}

# again COMMAND: the line that calls another command for the same TPU.
original=("$@")
again() {
  local words=("${original[@]}") i
  for i in "${!words[@]}"; do
    [[ ${words[i]} != "$command" ]] || break
  done
  words[i]=$1
  [[ $1 != delete ]] || words=(delete "$name" "${place[@]}")
  same_again "${words[@]}"
}

code=0
case $command in
  create | setup | logs | status | delete) "$command" ;;
  wait) wait_for_it ;;
  run) check_job && start ;;
  stop) on_workers all "sudo bash $startup stop" ;;
  babysit) check_job && babysit || code=$? ;;
  *) die "unknown command $command; $0 --help lists them" ;;
esac
if [[ $command != logs ]]; then
  [[ -z $opt_config ]] || echo "resume: $(again babysit)"
  echo "delete: $(again delete)"
fi
exit "$code"
