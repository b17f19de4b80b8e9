# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A TCP port of this machine on which nobody listens."""

import socket


def free_port() -> int:
  with socket.create_server(("", 0)) as server:
    return server.getsockname()[1]
