# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Joins the processes of a run, wherever they were started.

`maybe_initialize()` comes before any other use of JAX. It understands, in this
order: addresses in the environment, SLURM, Open MPI, Cloud TPU VMs, TPU and GPU
on Kubernetes. A process that is alone stays so.

  print(maybe_initialize())  # process 0/2 on host-a: 4 of 8 devices, TPU v5e
"""

from collections.abc import Mapping
import dataclasses
import os
import socket

import jax

from threedim_jax.errors import UserError

# JAX itself reads the first; the others would have to be passed by the program.
EXPLICIT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")

# Variables by which JAX's own detection knows a place of several processes.
DETECTED = {
  "OMPI_MCA_orte_hnp_uri": "Open MPI",
  "TPU_WORKER_HOSTNAMES": "TPU",
  "TPU_PROCESS_ADDRESSES": "TPU",
  "MEGASCALE_COORDINATOR_ADDRESS": "TPU slices",
}
