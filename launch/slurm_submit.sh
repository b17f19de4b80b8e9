#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/slurm_submit.sh CONFIG WORKDIR [OPTIONS] [-- FLAGS]
#   bash launch/slurm_submit.sh configs/srn_chairs.py /shared/run \
#     --nodes=2 --gpus_per_node=8 --partition=PARTITION --time=12:00:00
#
# Submits launch/slurm.sbatch with one process per GPU. Submits nothing if a job
# of the same name is waiting or running.
#
# --nodes=1           number of nodes
# --gpus_per_node=8   GPUs per node; 0: one process per node, on its CPUs
# --cpus_per_task=8   CPU cores per process, for decoding pictures
# --time=LIMIT        of sbatch; the job saves and requeues 5 minutes before it
# --partition=, --account=, --qos=, --constraint=   of sbatch
# --name=NAME         name of the job (default: last part of WORKDIR)
# --logs=FOLDER       folder of the job's log (default: runs/slurm)
# --max_restarts=100  how often the job may go back to the queue
# --dry-run           print the commands and change nothing
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/common.sh
source "$repo/launch/common.sh"

# shellcheck disable=SC2034  # some are read by name
opt_nodes=1 opt_gpus_per_node=8 opt_cpus_per_task=8 opt_time='' opt_name='' \
  opt_partition='' opt_account='' opt_qos='' opt_constraint=''
opt_logs=$repo/runs/slurm opt_max_restarts=100
config='' workdir=''
parse_args "nodes= gpus_per_node= cpus_per_task= time= partition= account= \
 qos= constraint= name= logs= max_restarts= " "$@"
take CONFIG WORKDIR
need_number nodes gpus_per_node cpus_per_task max_restarts
need_config "$config"
# The job runs in the repository, so paths must not depend on this directory.
config=$(realpath "${config%%:*}")${config#"${config%%:*}"}
[[ $workdir == *://* || $workdir == /* ]] || workdir=$PWD/$workdir
name=${opt_name:-$(basename "$workdir")}
need_tool sbatch "call this on a login node of the cluster"

tasks=$opt_gpus_per_node env=gpu gpus=("--gpus-per-node=$opt_gpus_per_node")
((opt_gpus_per_node)) || tasks=1 env=cpu gpus=()
command=(sbatch --parsable "--chdir=$repo" "--job-name=$name"
  "--nodes=$opt_nodes" "--ntasks-per-node=$tasks" "${gpus[@]}"
  "--cpus-per-task=$opt_cpus_per_task" "--output=$opt_logs/$name-%j.log")
for option in time partition account qos constraint; do
  variable=opt_$option
  [[ -z ${!variable} ]] || command+=("--$option=${!variable}")
done
command+=("$repo/launch/slurm.sbatch" "$config" "$workdir" "--env=$env"
  "--max_restarts=$opt_max_restarts" -- "${program_flags[@]}")

queued=''
((dry_run)) || queued=$(squeue --me "--name=$name" --noheader --format=%i)
if ((dry_run)); then
  quoted mkdir -p "$opt_logs"
  quoted "${command[@]}"
  job=JOB
elif [[ -n $queued ]]; then
  job=${queued%%$'\n'*}
  echo "job $job of this name exists already: $name"
else
  mkdir -p "$opt_logs"
  job=$("${command[@]}") || die "sbatch refused the job, see above"
  job=${job%%;*}
  echo "submitted job $job"
fi
echo "log:    tail -F $(quoted "$opt_logs/$name-$job.log")"
echo "state:  squeue --job=$job"
echo "stop:   scancel --signal=TERM $job  # saves, then goes back to the queue"
echo "resume: $(same_again "$@")"
echo "delete: scancel $job; $(delete_command "$workdir")"
