# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the launchers would do: every command of launch/README.md, dry.

python tests/launch/make_goldens.py   writes tests/launch/goldens.txt anew
"""

import pathlib
import re
import shlex
import sys
import tempfile

from stubs import REPO, Stubs

GOLDENS = REPO / "tests/launch/goldens.txt"
PLACE = "--project=PROJECT --zone=ZONE"
JOB = "--config=configs/shapes.py --workdir=gs://BUCKET/run"
# Beyond the README's: every command of tpu_vm.sh, and what needs quotes.
MORE = [
  "bash launch/local.sh configs/shapes.py:debug W --env=cpu --max_restarts=3"
  " --pause=1 -- --mode=sample '--config.name=two words'",
  "bash launch/slurm_submit.sh configs/shapes.py /shared/W --gpus_per_node=0",
  f"bash launch/tpu_vm.sh create run {PLACE} --type=v5litepod-16 {JOB}"
  " --source=https://HOST/REPO@v1 -- '--config.name=two words'",
  *(
    f"bash launch/tpu_vm.sh {word} run {PLACE}"
    for word in ("wait", "setup", "logs --follow", "stop", "delete")
  ),
  f"bash launch/tpu_vm.sh run run {PLACE} {JOB} -- --mode=sample",
  f"bash launch/tpu_vm.sh status run {PLACE} --workdir=gs://BUCKET/run",
]


def readme_commands() -> list[str]:
  """The launchers in its bash blocks, continuation lines joined."""
  text = (REPO / "launch/README.md").read_text()
  found = []
  for block in re.findall(r"```bash\n(.*?)```", text, re.S):
    for line in block.replace("\\\n", " ").splitlines():
      if line.startswith(("bash launch/", "python launch/")):
        found.append(" ".join(line.split()))
  return found


COMMANDS = readme_commands() + MORE


def dry(command: str) -> list[str]:
  """Its words, with --dry-run before "--", to call from any folder."""
  words = shlex.split(command)
  end = words.index("--") if "--" in words else len(words)
  words.insert(end, "--dry-run")
  words = [
    re.sub(r"^(--config=|)(configs/|launch/)", rf"\1{REPO}/\2", word)
    for word in words
  ]
  return [sys.executable if word == "python" else word for word in words]


def golden(command: str, stubs: Stubs) -> str:
  """The command and what it prints, free of the paths of this machine."""
  result = stubs.run(
    *dry(command), env={"PYTHON": "python3"}, cwd=stubs.folder / "cwd"
  )
  assert result.returncode == 0, result.stdout
  text = result.stdout
  for path, name in ((REPO, "REPO"), (stubs.folder / "tmp", "TMP")):
    text = text.replace(str(path), name)
  # k8s_test.py looks at the manifests.
  text = re.sub(
    r"^apiVersion:.*?(?=^follow:)", "...\n", text, flags=re.M | re.S
  )
  # Depends on what is committed in this checkout.
  text = re.sub(
    r"^note: the workers get the last commit.*\n", "", text, flags=re.M
  )
  return f"$ {command}\n{text}\n"


def main() -> None:
  with tempfile.TemporaryDirectory() as folder:
    stubs = Stubs(pathlib.Path(folder))
    texts = [golden(command, stubs) for command in COMMANDS]
  GOLDENS.write_text("".join(texts))
  print(f"{len(texts)} commands: {GOLDENS}")


if __name__ == "__main__":
  main()
