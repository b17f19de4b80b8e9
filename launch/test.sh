#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/test.sh [PYTEST_ARGS...]
#
# Installs into .venv what the tests need and runs the whole suite, with the
# shapes in all signatures checked at run time.
#
# PYTHON=...  the interpreter to make .venv with (3.11 or later)
# VENV=...    another place for the virtual environment
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/common.sh
source "$repo/launch/common.sh"
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  sed -n '5,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  exit 0
fi
venv=${VENV:-$repo/.venv}
cd "$repo"
install "$repo" "$venv" "[test]"
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
exec "$venv/bin/python" -m pytest -n 2 --dist loadfile tests \
  --jaxtyping-packages=threedim_jax,beartype.beartype "$@"
