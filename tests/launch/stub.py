# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Stands in for gcloud, sbatch, ... : logs its arguments and plays a script.

Called through the links that `Stubs` of stubs.py makes. $STUB_DIR/script.json
is a list of [pattern, replies]; the first pattern that is found in the call
counts, its n-th call gets the n-th reply, and further ones the last.
"""

import json
import os
import re
import signal
import sys
import time


def main() -> int:
  folder = os.environ["STUB_DIR"]
  call = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
  with open(os.path.join(folder, "log"), "a") as f:
    f.write(json.dumps(call) + "\n")
  with open(os.path.join(folder, "script.json")) as f:
    script = json.load(f)
  matches = [i for i, x in enumerate(script) if re.search(x[0], " ".join(call))]
  if not matches:
    return 0
  number, replies = matches[0], script[matches[0]][1]
  counter = os.path.join(folder, f"count_{number}")
  count = os.path.getsize(counter) if os.path.exists(counter) else 0
  with open(counter, "a") as f:
    f.write(".")
  reply = replies[min(count, len(replies) - 1)]
  sys.stdout.write(reply.get("out", ""))
  sys.stdout.flush()
  sys.stderr.write(reply.get("err", ""))
  if "on_term" in reply:  # runs until SIGTERM, then exits with this code
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(reply["on_term"]))
    with open(os.path.join(folder, "up"), "w"):
      pass
    time.sleep(60)
  if "ranks" in reply:  # srun: the command, once a rank, one after the other
    import subprocess  # the others need not wait for it

    words = call[1:]
    while words[0].startswith("-"):
      words = words[1:]
    codes = []
    for rank in range(reply["ranks"]):
      env = {**os.environ, "SLURM_PROCID": str(rank)}
      codes.append(subprocess.run(words, env=env).returncode)
    return max(codes)  # as srun does
  return reply.get("code", 0)


if __name__ == "__main__":
  sys.exit(main())
