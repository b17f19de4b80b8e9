#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/quickstart.sh [WORKDIR]     default: runs/quickstart
#
# The whole path once, small, on a CPU, in under ten minutes: installs into .venv,
# builds the data set that needs no download, fine-tunes bundled weights, samples
# views of unseen objects, scores them and writes WORKDIR/report.html. Run it
# again to resume; it skips what is done.
#
# PYTHON=...  interpreter to make .venv with (3.11 or later)
# VENV=...    another folder for the virtual environment
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/common.sh
source "$repo/launch/common.sh"

parse_args "" "$@"
((!dry_run && ${#positional[@]} < 2)) || die "$0 --help shows how to call it"
workdir=${positional[0]:-$repo/runs/quickstart}
mkdir -p "$workdir" || die "cannot write to $workdir"
workdir=$(cd "$workdir" && pwd)
venv=${VENV:-$repo/.venv}
python=$venv/bin/python
cd "$repo"

began=$SECONDS
install "$repo" "$venv" ""
installed=$((SECONDS - began))
use_env "$python" launch/env/cpu.env

# The data set is in the workdir and not in the home directory: easy to delete.
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

Open $workdir/report.html in a browser. It shows the views, an orbit viewer that
you can drag, the loss and the scores. Beside it are views.png, orbits.gif and
orbits.mp4; those of each object are in $workdir/samples.

Next:
  source $venv/bin/activate; export TFDS_DATA_DIR=$workdir/data
  # train longer
  python -m threedim_jax.main --config=configs/quickstart.py \\
    --workdir=$workdir --config.train.num_examples=20000
  # sample again with more steps and another seed
  python -m threedim_jax.main --config=configs/quickstart.py \\
    --workdir=$workdir --mode=sample --overwrite \\
    --config.sampler.num_sample_steps=256 --config.sampler.seed=1
  # see what the paper's model would cost
  python -m threedim_jax.main --config=configs/srn_chairs.py --dry_run
  # see the curves
  tensorboard --logdir $workdir
END
