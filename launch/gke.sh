#!/usr/bin/env bash
# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
#
#   bash launch/gke.sh CONFIG WORKDIR --name=N --image=I --compute_type=T \
#     --project=P --location=L --cluster=C [OPTIONS] [-- FLAGS]
#
# A job on a GKE cluster of Google's Cluster Toolkit, through its own program,
# gcluster, which writes the JobSet and queues it with Kueue. Without the
# toolkit: launch/k8s/render.py, which also sets an exit code apart that no
# restart mends.
#
# --compute_type=T    as gcluster names it: v6e-8, v5litepod-32, nvidia-h100-80gb
# --num_nodes=N       machines (GPUs); --num_slices=N slices (TPUs)
# --max_restarts=100  of the whole job
# --grace=5m          from SIGTERM to SIGKILL, to save
# --service_account=  of the pods, which must be able to write WORKDIR
# --dry-run           prints the command and touches nothing; and the same with
#                     -o, with which gcluster writes the manifest and stops
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launch/common.sh
source "$repo/launch/common.sh"
# shellcheck source=launch/restarts.sh
source "$repo/launch/restarts.sh"

opt_name='' opt_image='' opt_compute_type='' opt_project='' opt_location=''
opt_cluster='' opt_num_nodes='' opt_num_slices='' opt_max_restarts=100
opt_grace=5m opt_service_account=''
config='' workdir=''
parse_args "name= image= compute_type= project= location= cluster= num_nodes= \
 num_slices= max_restarts= grace= service_account= " "$@"
take CONFIG WORKDIR
need name image compute_type project location cluster
need_name "$opt_name" 28 # gcluster's limit
need_number max_restarts
need_config "$config"
[[ $workdir == *://* || $workdir == /* ]] ||
  die "$workdir: a pod's own disk goes with it; give a bucket, gs://BUCKET/FOLDER"
need_tool gcluster "install Google's Cluster Toolkit, or use launch/k8s/render.py"

case $opt_compute_type in
  v[0-9]* | tpu*) env=tpu ;;
  nvidia* | a2-* | a3-* | a4-* | g2-*) env=gpu ;;
  *) env=cpu ;;
esac
text="settings=\$(python launch/env_flags.py launch/env/$env.env)"
text+=" && eval \"\$settings\" && exec $(quoted python -u -m threedim_jax.main \
  "--config=$config" "--workdir=$workdir" "${program_flags[@]}")"
where=("--project=$opt_project" "--location=$opt_location"
  "--cluster=$opt_cluster")
command=(gcluster job submit "${where[@]}" "--name=$opt_name"
  "--image=$opt_image" "--compute-type=$opt_compute_type"
  "--command=bash -c $(quoted "$text")" "--restarts=$opt_max_restarts"
  "--restart-on-exit-codes=$restart_many" "--grace-period=$opt_grace")
[[ -z $opt_num_nodes ]] || command+=("--num-nodes=$opt_num_nodes")
[[ -z $opt_num_slices ]] || command+=("--num-slices=$opt_num_slices")
[[ -z $opt_service_account ]] ||
  command+=("--service-account=$opt_service_account")
if ((dry_run)); then
  quoted "${command[@]}"
  echo "# the manifest alone:"
  quoted "${command[@]}" -o "$opt_name.yaml"
elif gcluster job list "${where[@]}" | grep -qw -- "$opt_name"; then
  echo "a job of the name $opt_name is there already"
else
  "${command[@]}"
fi
echo "log:    $(quoted gcluster job logs "${where[@]}" "$opt_name")"
echo "resume: $(same_again "$@")"
echo "delete: $(quoted gcluster job cancel "${where[@]}" "$opt_name")"
