# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A PATH in which the tools of clouds and clusters are stand-ins.

stubs = Stubs(tmp_path)
stubs.reply("describe", {"out": "ACTIVE"}, {"out": "SUSPENDED"})
result = stubs.run("bash", "launch/tpu_vm.sh", ...)
stubs.calls("gcloud")  # the arguments of each call
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

REPO = pathlib.Path(__file__).parents[2]
TOOLS = ("gcloud", "sbatch", "srun", "scontrol", "squeue", "kubectl", "curl")


class Stubs:
  def __init__(self, folder: pathlib.Path):
    self.folder = folder
    self.script = []
    self.bin = folder / "bin"
    for name in ("bin", "home", "tmp", "cwd"):
      (folder / name).mkdir()
    for name in (*TOOLS, "fake_python"):
      path = self.bin / name
      # -S -E: half the time to start, and nothing of the environment.
      path.write_text(
        f"#!{sys.executable} -SE\nimport os, sys\n"
        f"os.environ['STUB_DIR'] = {str(folder)!r}\n"
        f"sys.path.insert(0, {str(REPO / 'tests/launch')!r})\n"
        "import stub\nsys.exit(stub.main())\n"
      )
      path.chmod(0o755)
    self.env = {
      **os.environ,
      "PATH": f"{self.bin}:{os.environ['PATH']}",
      "HOME": str(folder / "home"),
      "TMPDIR": str(folder / "tmp"),
      "CLOUDSDK_CONFIG": str(folder / "home/gcloud"),
      "PYTHON": "fake_python",
      "PYTHONDONTWRITEBYTECODE": "1",
      "PYTHONPATH": "",
    }
    for name in list(self.env):
      if name.startswith(("SLURM_", "JAX_COORD", "XLA_FLAGS", "NCCL")):
        del self.env[name]
    for name in TOOLS:  # a real one must never be reached
      found = shutil.which(name, path=self.env["PATH"])
      assert found == str(self.bin / name)
    # It has jax, and jaxlib accepts the flags of the env files.
    self.reply("fake_python -c", {})

  def reply(self, pattern: str, *replies: dict) -> None:
    self.script.append([pattern, list(replies)])
    (self.folder / "script.json").write_text(json.dumps(self.script))

  def popen(self, *args, env=(), cwd=REPO, **kwargs) -> subprocess.Popen:
    return subprocess.Popen(
      list(map(str, args)),
      cwd=cwd,
      env={**self.env, **dict(env)},
      text=True,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      # Where the tests run in the background they ignore SIGINT, and a shell
      # cannot trap what it was born to ignore.
      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
      **kwargs,
    )

  def run(self, *args, env=(), cwd=REPO) -> subprocess.CompletedProcess:
    """stdout holds stderr as well."""
    process = self.popen(*args, env=env, cwd=cwd)
    output, _ = process.communicate(timeout=60)
    return subprocess.CompletedProcess(args, process.returncode, output)

  def calls(self, *starts: str) -> list[list[str]]:
    """All calls so far, of these tools, as [tool, argument, ...]."""
    log = self.folder / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    calls = [json.loads(line) for line in lines]
    return [call for call in calls if not starts or call[0] in starts]

  def programs(self) -> list[list[str]]:
    """The calls of threedim_jax.main, less the interpreter."""
    return [
      call[call.index("threedim_jax.main") + 1 :]
      for call in self.calls("fake_python")
      if "threedim_jax.main" in call
    ]
