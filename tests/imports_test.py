# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The shape of the code: imports point down, files stay small, no defaults."""

import ast
import importlib
import pathlib
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).parents[1]
PACKAGE = sorted((REPO / "threedim_jax").rglob("*.py"))
SOURCES = PACKAGE + sorted(
  p for d in ("configs", "datasets", "launch") for p in (REPO / d).rglob("*.py")
)


def module_name(path: pathlib.Path) -> str:
  name = ".".join(path.relative_to(REPO).with_suffix("").parts)
  return name.removesuffix(".__init__")


def imported_modules(path: pathlib.Path) -> set[str]:
  names = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      names |= {node.module} | {f"{node.module}.{a.name}" for a in node.names}
  return names


IMPORTS = {module_name(p): imported_modules(p) for p in PACKAGE}

# importer prefix -> what it and what it imports must never reach
FORBIDDEN = {
  "threedim_jax.models": ("diffusion", "losses", "sampler", "denoise"),
  "threedim_jax.sampler": ("models", "train", "from_config"),
  "threedim_jax.losses": ("models", "train", "from_config"),
  "threedim_jax.denoise": ("models", "train", "from_config"),
  "threedim_jax.sample_io": ("models", "train", "sampler", "from_config"),
  "threedim_jax.report": ("models", "train", "sampler", "from_config"),
  "threedim_jax.consistency": ("models", "train", "sampler", "from_config"),
  "threedim_jax.compare": ("models", "train", "sampler", "from_config"),
  "threedim_jax.score_page": ("models", "train", "sampler", "from_config"),
}
LEAVES = ("diffusion", "cameras", "pixels", "optim", "errors", "camera_paths")


@pytest.mark.parametrize("importer", FORBIDDEN)
def test_arrows_point_down(importer):
  starts = [m for m in IMPORTS if m == importer or m.startswith(importer + ".")]
  assert starts
  seen, queue = set(), list(starts)
  while queue:
    module = queue.pop()
    if module in seen or module not in IMPORTS:
      continue
    seen.add(module)
    queue += IMPORTS[module]
  for name in FORBIDDEN[importer]:
    target = f"threedim_jax.{name}"
    assert not {m for m in seen if m == target or m.startswith(target + ".")}, (
      f"{importer} reaches {target}"
    )


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaves_import_nothing_of_ours(leaf):
  ours = {
    m for m in IMPORTS[f"threedim_jax.{leaf}"] if m.startswith("threedim_jax.")
  }
  constants = {f"threedim_jax.{n}" for n in ("LOGSNR_MIN", "LOGSNR_MAX")}
  errors = {"threedim_jax.errors", "threedim_jax.errors.UserError"}
  assert ours <= constants | errors


def test_only_main_imports_train():
  users = {m for m, names in IMPORTS.items() if "threedim_jax.train" in names}
  assert users == {"threedim_jax.main"}


def test_nobody_imports_main():
  """It defines the flags of its modes, which others would take and ignore."""
  users = {m for m, names in IMPORTS.items() if "threedim_jax.main" in names}
  assert not users


def test_the_package_imports_no_neighbour():
  for module, names in IMPORTS.items():
    tops = {name.split(".")[0] for name in names if name}
    assert tops.isdisjoint({"configs", "datasets", "tests"}), module


@pytest.mark.parametrize("path", PACKAGE, ids=module_name)
def test_imports(path):
  importlib.import_module(module_name(path))


@pytest.mark.parametrize(
  "path", SOURCES, ids=lambda p: str(p.relative_to(REPO))
)
def test_files_stay_small_and_licensed(path):
  text = path.read_text()
  assert len(text.splitlines()) <= 300
  assert "SPDX-License-Identifier: Apache-2.0" in text
  assert path.name not in ("utils.py", "common.py", "helpers.py", "misc.py")


@pytest.mark.parametrize("path", PACKAGE, ids=module_name)
def test_no_hidden_config_defaults(path):
  """A key has one home: no config.get(k, default), no getattr(config, ...)."""
  for node in ast.walk(ast.parse(path.read_text())):
    if not isinstance(node, ast.Call):
      continue
    text = ast.unparse(node.func)
    assert not (text.startswith("config") and text.endswith(".get")), text
    if text in ("getattr", "hasattr"):
      assert not ast.unparse(node.args[0]).startswith("config")


def test_datasets_is_no_package():
  """With an __init__.py it would shadow, or overwrite, another `datasets`."""
  assert not list((REPO / "datasets").rglob("__init__.py"))


def test_the_core_needs_jax_flax_and_optax_only():
  """Model, step, sampler: on machines without the data and loop libraries."""
  code = """
import sys
class Refuse:
  def find_spec(self, name, path=None, target=None):
    if name.split(".")[0] in BANNED: raise ImportError(name)
BANNED = {"clu", "grain", "tensorflow_datasets", "ml_collections",
          "array_record", "tensorflow", "cv2", "trimesh", "embreex"}
sys.meta_path.insert(0, Refuse())
import threedim_jax.models, threedim_jax.sampler, threedim_jax.losses
import threedim_jax.train_step, threedim_jax.sharding, threedim_jax.optim
import threedim_jax.denoise, threedim_jax.metrics, threedim_jax.flops
import threedim_jax.consistency.fit, threedim_jax.consistency.render
"""
  subprocess.run([sys.executable, "-c", code], check=True, cwd=REPO)
