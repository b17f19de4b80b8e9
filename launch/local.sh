#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/local.sh CONFIG WORKDIR [OPTIONS] [-- FLAGS]
#   bash launch/local.sh configs/shapes.py runs/shapes -- --mode=sample
#
# Runs the program on this machine, on its CPUs or all of its GPUs in one
# process, and starts it again after exit codes that a restart mends. Ctrl-C and
# SIGTERM save first. FLAGS go to the program.
#
# --max_restarts=20   how often at most
# --pause=10          seconds before each
# --restart_on=CODES  default 75,124,137,143
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

opt_max_restarts=20 opt_pause=10 opt_restart_on=$restart_one opt_env=
config='' workdir=''
parse_args "max_restarts= pause= restart_on= env=" "$@"
take CONFIG WORKDIR
need_number max_restarts pause
need_config "$config"
env_file=$repo/launch/env/${opt_env:=$(pick_env)}.env
[[ -f $env_file ]] || die "--env=$opt_env: there is no $env_file"
python=$(pick_python "$repo")
export PYTHONPATH=$repo${PYTHONPATH:+:$PYTHONPATH}

command=("$python" -u -m threedim_jax.main "--config=$config"
  "--workdir=$workdir" "${program_flags[@]}")

if ((dry_run)); then
  echo "export $(quoted "PYTHONPATH=$PYTHONPATH")"
  echo "eval \"\$($(quoted "$python" "$repo/launch/env_flags.py" "$env_file"))\""
  quoted "${command[@]}"
  echo "# again after $opt_restart_on, at most $opt_max_restarts times, ${opt_pause}s later"
else
  "$python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("jax"))' ||
    die "$python has no jax; make .venv with bash launch/quickstart.sh, or name an interpreter that has: PYTHON=..."
  use_env "$python" "$env_file"
  code=0
  keep_running "$opt_restart_on" "$opt_max_restarts" "$opt_pause" TERM \
    "${command[@]}" || code=$?
fi
echo "resume: $(same_again "$@")"
echo "delete: $(delete_command "$workdir")"
exit "${code:-0}"
