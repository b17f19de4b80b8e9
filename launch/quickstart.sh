#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/quickstart.sh [WORKDIR]     default: runs/quickstart
#
# Everything once, small, on a CPU, in under ten minutes: installs into .venv,
# builds the embedded data set, trains an X-UNet, samples views of objects that
# it never saw, scores them and writes WORKDIR/report.html. Run it again and it
# resumes where it was, or skips what is done.
#
# PYTHON=...  the interpreter to make .venv with (3.11 or later)
# VENV=...    another place for the virtual environment
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/common.sh
source "$repo/launch/common.sh"

if [[ ${1:-} == -* ]]; then
  sed -n '5,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
  [[ $1 == -h || $1 == --help ]] && exit 0
  exit 2
fi
workdir=${1:-$repo/runs/quickstart}
mkdir -p "$workdir" || die "cannot write to $workdir"
workdir=$(cd "$workdir" && pwd)
venv=${VENV:-$repo/.venv}
python=$venv/bin/python
cd "$repo"

began=$SECONDS
install "$repo" "$venv" ""
installed=$((SECONDS - began))
use_env "$python" launch/env/cpu.env

# The data lies beside the runs, not in the home directory: easy to delete.
export TFDS_DATA_DIR=$workdir/data
began=$SECONDS
"$python" datasets/build.py shapes --config quickstart
"$python" -m threedim_jax.workdir.timings --workdir "$workdir" \
  install=$installed data=$((SECONDS - began))

for mode in train sample evaluate; do
  echo "--- $mode"
  "$python" -m threedim_jax.main --config=configs/quickstart.py \
    --workdir="$workdir" --mode="$mode"
done
"$python" -m threedim_jax.viewing.report --workdir "$workdir" --summary

cat <<END

Open $workdir/report.html in a browser: the views, an orbit viewer to drag,
the loss, the scores. Beside it: views.png, orbits.gif, orbits.mp4; each object's
own are in $workdir/samples.

Next:
  source $venv/bin/activate; export TFDS_DATA_DIR=$workdir/data
  # train longer, then sample again
  python -m threedim_jax.main --config=configs/quickstart.py \\
    --workdir=$workdir --config.train.num_examples=20000
  # another look: more steps, another seed
  python -m threedim_jax.main --config=configs/quickstart.py \\
    --workdir=$workdir --mode=sample \\
    --config.sampler.num_sample_steps=256 --config.sampler.seed=1
  # what the paper's model would cost
  python -m threedim_jax.main --config=configs/srn_chairs.py --dry_run
  # the curves
  tensorboard --logdir $workdir
END
