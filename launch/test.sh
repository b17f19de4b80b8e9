#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/test.sh [PYTEST_ARGS...]
#
# Installs what the tests need into .venv, checks the style and runs all tests.
# They check the shapes in all signatures at run time.
#
# PYTHON=...  interpreter to make .venv with (3.11 or later)
# VENV=...    another folder for the virtual environment
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/common.sh
source "$repo/launch/common.sh"
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  usage
  exit
fi
venv=${VENV:-$repo/.venv}
cd "$repo"
install "$repo" "$venv" "[test]"
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
exec "$venv/bin/python" -m pytest -n 2 --dist loadfile tests \
  --jaxtyping-packages=threedim_jax,beartype.beartype "$@"
