#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/mpi.sh CONFIG WORKDIR --np=N [OPTIONS] [-- FLAGS]
#   bash launch/mpi.sh configs/srn_chairs.py /shared/run --np=16 \
#     --hostfile=hosts --env=gpu
#
# Runs N processes, one a GPU, through mpirun, and starts all of them again
# after exit codes that a restart mends. Ctrl-C and SIGTERM save first. The
# repository and WORKDIR lie at the same path on every host.
#
# --np=N              processes
# --hostfile=FILE     hosts and their slots, as mpirun reads it
# --mpi_args="..."    more options of mpirun, split at blanks
# --coordinator=HOST:PORT  for an MPI that JAX does not detect (Open MPI 5,
#                     MPICH): any free port of the host of rank 0
# --max_restarts=20   how often at most
# --pause=10          seconds before each
# --env=NAME          cpu, gpu or tpu: the settings of launch/env/NAME.env
#                     (default: as found on this machine)
# --dry-run           prints the commands and touches nothing
# PYTHON=...          the interpreter (default: .venv/bin/python, else python3)
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/common.sh
source "$repo/launch/common.sh"
# shellcheck source=launch/restarts.sh
source "$repo/launch/restarts.sh"

opt_np='' opt_hostfile='' opt_mpi_args='' opt_coordinator=''
opt_max_restarts=20 opt_pause=10 opt_env=''
config='' workdir=''
parse_args "np= hostfile= mpi_args= coordinator= max_restarts= pause= env=" "$@"
take CONFIG WORKDIR
need np
need_number np max_restarts pause
need_config "$config"
need_tool mpirun "install Open MPI (Debian: apt install openmpi-bin)"
env_file=$repo/launch/env/${opt_env:=$(pick_env)}.env
[[ -f $env_file ]] || die "--env=$opt_env: there is no $env_file"
python=$(pick_python "$repo")
export PYTHONPATH=$repo${PYTHONPATH:+:$PYTHONPATH}
if ((dry_run)); then
  echo "export $(quoted "PYTHONPATH=$PYTHONPATH")"
  echo "eval \"\$($(quoted "$python" "$repo/launch/env_flags.py" "$env_file"))\""
else
  use_env "$python" "$env_file"
fi

read -ra mpi_args <<<"$opt_mpi_args"
command=(mpirun -n "$opt_np")
[[ -z $opt_hostfile ]] || command+=(--hostfile "$opt_hostfile")
if [[ -n $opt_coordinator ]]; then
  [[ $opt_coordinator == *:* ]] || die "--coordinator=HOST:PORT has no port"
  export JAX_COORDINATOR_ADDRESS=$opt_coordinator
  ((!dry_run)) || echo "export JAX_COORDINATOR_ADDRESS=$opt_coordinator"
fi
# mpirun starts the remote processes with an empty environment but for these.
if [[ -z $opt_coordinator ]] || mpirun --version 2>/dev/null | grep -q Open; then
  exported=$(sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/\1/p' "$env_file" | sort -u)
  for name in PYTHONPATH TFDS_DATA_DIR JAX_COORDINATOR_ADDRESS $exported; do
    [[ -z ${!name:-} && $exported != *$name* ]] || command+=(-x "$name")
  done
fi
command+=("${mpi_args[@]}" bash "$repo/launch/rank.sh" "$python" -u
  -m threedim_jax.main "--config=$config" "--workdir=$workdir"
  "${program_flags[@]}")

if ((dry_run)); then
  quoted "${command[@]}"
  echo "# again after $restart_many, at most $opt_max_restarts times, ${opt_pause}s later"
else
  code=0
  # mpirun passes on USR1; after a TERM it would kill all within a second.
  keep_running "$restart_many" "$opt_max_restarts" "$opt_pause" USR1 \
    "${command[@]}" || code=$?
fi
echo "resume: $(same_again "$@")"
echo "delete: $(delete_command "$workdir")"
exit "${code:-0}"
