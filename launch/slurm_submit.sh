#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/slurm_submit.sh CONFIG WORKDIR [OPTIONS] [-- FLAGS]
#   bash launch/slurm_submit.sh configs/srn_chairs.py /shared/run \
#     --nodes=2 --gpus_per_node=8 --partition=PARTITION --time=12:00:00
#
# Submits launch/slurm.sbatch, one process a GPU. A job of the same name that
# waits or runs already is left alone.
#
# --nodes=1           nodes
# --gpus_per_node=8   GPUs of each; 0: one process a node, on its CPUs
# --cpus_per_task=8   processor cores of each process, for decoding pictures
# --time=LIMIT        as sbatch reads it; saved and requeued 5 minutes before
# --partition=, --account=, --qos=, --constraint=   as sbatch reads them
# --name=NAME         of the job (default: the name of WORKDIR)
# --logs=FOLDER       for the log of the job (default: runs/slurm)
# --max_restarts=100  times that the job goes back to the queue
# --dry-run           prints the commands and touches nothing
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/common.sh
source "$repo/launch/common.sh"

# shellcheck disable=SC2034  # some are read by name
opt_nodes=1 opt_gpus_per_node=8 opt_cpus_per_task=8 opt_time='' opt_name=''
# shellcheck disable=SC2034
opt_partition='' opt_account='' opt_qos='' opt_constraint=''
opt_logs=$repo/runs/slurm opt_max_restarts=100
config='' workdir=''
parse_args "nodes= gpus_per_node= cpus_per_task= time= partition= account= \
 qos= constraint= name= logs= max_restarts= " "$@"
take CONFIG WORKDIR
need_number nodes gpus_per_node cpus_per_task max_restarts
# The job runs in the repository, wherever this was called from.
need_config "$config"
config=$(realpath "${config%%:*}")${config#"${config%%:*}"}
[[ $workdir == *://* || $workdir == /* ]] || workdir=$PWD/$workdir
name=${opt_name:-$(basename "$workdir")}
need_tool sbatch "call this on a login node of the cluster"

if ((!dry_run)); then
  queued=$(squeue --me "--name=$name" --noheader --format=%i)
  if [[ -n $queued ]]; then
    job=${queued%%$'\n'*}
    echo "a job of the name $name is there already: $job"
  fi
fi
if [[ -z ${job:-} ]]; then
  tasks=$opt_gpus_per_node env=gpu gpus=("--gpus-per-node=$opt_gpus_per_node")
  if ((opt_gpus_per_node == 0)); then
    tasks=1 env=cpu gpus=()
  fi
  command=(sbatch --parsable "--chdir=$repo" "--job-name=$name"
    "--nodes=$opt_nodes" "--ntasks-per-node=$tasks" "${gpus[@]}"
    "--cpus-per-task=$opt_cpus_per_task" "--output=$opt_logs/$name-%j.log")
  for option in time partition account qos constraint; do
    variable=opt_$option
    [[ -z ${!variable} ]] || command+=("--$option=${!variable}")
  done
  command+=("$repo/launch/slurm.sbatch" "$config" "$workdir" "--env=$env"
    "--max_restarts=$opt_max_restarts" -- "${program_flags[@]}")
  run mkdir -p "$opt_logs"
  if ((dry_run)); then
    quoted "${command[@]}"
    job=JOB
  else
    job=$("${command[@]}") || die "sbatch refused the job, see above"
    job=${job%%;*}
    echo "submitted job $job"
  fi
fi
echo "log:    tail -F $(quoted "$opt_logs/$name-$job.log")"
echo "state:  squeue --job=$job"
echo "stop:   scancel --signal=TERM $job  # saves, then goes back to the queue"
echo "resume: $(same_again "$@")"
echo "delete: scancel $job; $(delete_command "$workdir")"
