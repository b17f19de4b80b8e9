#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/local.sh CONFIG WORKDIR [OPTIONS] [-- FLAGS]
#   bash launch/local.sh configs/shapes.py runs/shapes -- --mode=sample
#
# Runs the program on this machine in one process, on its CPUs or all of its
# GPUs. Restarts it after a crash that a restart cures. Ctrl-C and SIGTERM save
# first. The program gets FLAGS.
#
# --max_restarts=20   largest number of restarts
# --pause=10          seconds before each restart
# --restart_on=CODES  exit codes to restart after (default: 75,124,137,143)
# --env=NAME          cpu, gpu or tpu: source launch/env/NAME.env
#                     (default: by the devices of this machine)
# --dry-run           print the commands and change nothing
# PYTHON=...          interpreter (default: .venv/bin/python, else python3)
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/common.sh
source "$repo/launch/common.sh"
# shellcheck source=launch/restarts.sh
source "$repo/launch/restarts.sh"

opt_max_restarts=20 opt_pause=10 opt_restart_on=$restart_one opt_env=
config='' workdir=''
parse_args "max_restarts= pause= restart_on= env=" "$@"
take CONFIG WORKDIR
need_number max_restarts pause
need_config "$config"
env_file=$(env_file "$repo" "$opt_env")
python=$(pick_python "$repo")
export PYTHONPATH=$repo${PYTHONPATH:+:$PYTHONPATH}
command=("$python" -u -m threedim_jax.main "--config=$config"
  "--workdir=$workdir" "${program_flags[@]}")

if ((dry_run)); then
  echo "export $(quoted "PYTHONPATH=$PYTHONPATH")"
  quoted source "$env_file"
  quoted "${command[@]}"
  echo "# again after $opt_restart_on, at most $opt_max_restarts times, ${opt_pause}s later"
else
  "$python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("jax"))' ||
    die "$python has no jax; make .venv with bash launch/quickstart.sh, or name an interpreter that has it: PYTHON=..."
  use_env "$python" "$env_file"
  code=0
  keep_running "$opt_restart_on" "$opt_max_restarts" "$opt_pause" \
    "${command[@]}" || code=$?
fi
echo "resume: $(same_again "$@")"
echo "delete: $(delete_command "$workdir")"
exit "${code:-0}"
