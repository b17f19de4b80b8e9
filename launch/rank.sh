#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/rank.sh COMMAND...
#
# One process of a job of many: slurm.sbatch and mpi.sh start it, not you. It
# writes the command's exit code to $EXIT_CODES/RANK, because srun reports only
# the highest one of all; and it turns SIGUSR1 into SIGTERM for the command,
# because mpirun passes on the first but not the second.
#
# --dry-run   prints the command
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '4,/^[^#]/s/^#\( \|$\)//p' "${BASH_SOURCE[0]}"
  exit 0
elif [[ ${1:-} == --dry-run ]]; then
  shift
  echo "$*"
  exit 0
fi
(($#)) || exit 2
rank=${SLURM_PROCID:-${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}}
# With another MPI than the one that JAX detects, the ranks go in by hand.
if [[ -n ${JAX_COORDINATOR_ADDRESS:-} && -z ${SLURM_PROCID:-} ]]; then
  export JAX_PROCESS_ID=$rank
  export JAX_NUM_PROCESSES=${OMPI_COMM_WORLD_SIZE:-${PMI_SIZE:-1}}
fi

# Both launchers signal the whole process group: the command has its TERM
# already, and must not see USR1, whose default is death.
pid=''
trap 'interrupted=1' TERM
trap 'interrupted=1; [[ -z $pid ]] || kill -TERM "$pid" 2>/dev/null || :' USR1
(
  trap '' USR1
  exec "$@"
) &
pid=$!
while :; do
  interrupted=0 code=0
  wait "$pid" || code=$?
  ((interrupted)) || break
done
[[ -z ${EXIT_CODES:-} ]] || echo "$code" >"$EXIT_CODES/$rank"
exit "$code"
