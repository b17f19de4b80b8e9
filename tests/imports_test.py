# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The structure of the code: which folder may import which."""

import ast
import importlib
import os
import pathlib
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).parents[1]
ROOT = REPO / "threedim_jax"
PACKAGE = sorted(ROOT.rglob("*.py"))
SOURCES = PACKAGE + sorted(
  p for d in ("configs", "datasets", "launch") for p in (REPO / d).rglob("*.py")
)

# folder -> the folders that it may import. Arrows run one way: no cycles.
GROUND = {"runtime"}
FILES = GROUND | {"views", "workdir"}
ALLOWED = {
  "runtime": set(),
  "views": GROUND,
  "models": GROUND | {"views"},
  "diffusion": {"views"},
  "workdir": GROUND | {"views"},
  "inputs": FILES,
  "evaluation": FILES | {"inputs"},
  "viewing": FILES,
  "training": FILES | {"models", "diffusion"},
  "sampling": FILES | {"models", "diffusion", "inputs"},
}
METHODS = set(ALLOWED)
ALLOWED |= {
  "modes": METHODS,
  "benchmark": METHODS | {"modes"},
  "demo": METHODS,
  "main": {"modes", "runtime", "viewing", "workdir"},
}


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


def room(module: str) -> str | None:
  """`threedim_jax.views.png` is in "views"; the package itself is in None."""
  parts = module.split(".")
  known = parts[0] == "threedim_jax" and len(parts) > 1
  return parts[1] if known and parts[1] in ALLOWED else None


@pytest.mark.parametrize("folder", ALLOWED)
def test_folders_import_only_what_the_table_allows(folder):
  modules = [m for m in IMPORTS if room(m) == folder]
  assert modules
  arrows = {
    (module, name)
    for module in modules
    for name in IMPORTS[module]
    if room(name) not in {None, folder} | ALLOWED[folder]
  }
  assert not arrows


def test_every_file_lies_in_a_folder_of_the_table():
  assert {room(m) for m in IMPORTS} == {None, *ALLOWED}
  assert [m for m in IMPORTS if room(m) is None] == ["threedim_jax"]


def test_folders_can_be_taken_in_at_a_glance():
  entries = [p for p in ROOT.iterdir() if p.name != "__pycache__"]
  assert len(entries) <= 15
  for folder in {p.parent for p in PACKAGE} - {ROOT}:
    files = [p for p in folder.iterdir() if p.is_file()]
    assert len(files) <= 12, folder


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
def test_files_are_licensed_and_named_after_a_concept(path):
  assert "SPDX-License-Identifier: Apache-2.0" in path.read_text()
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


# Functions that are tables: of a configuration's keys, of a program's flags.
TABLES = {"get_config", "_parser"}


@pytest.mark.parametrize(
  "path", SOURCES, ids=lambda p: str(p.relative_to(REPO))
)
def test_functions_fit_on_a_screen(path):
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.FunctionDef) and node.name not in TABLES:
      assert node.end_lineno - node.lineno < 80, node.name


@pytest.mark.parametrize(
  "path",
  [p for p in SOURCES if "models" not in p.parts],
  ids=lambda p: str(p.relative_to(REPO)),
)
def test_a_function_with_a_name_is_no_lambda(path):
  """In models/ they are allowed: layers read as their equations."""
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Assign):
      assert not isinstance(node.value, ast.Lambda), ast.unparse(node)


def test_datasets_is_no_package():
  """With an __init__.py it would shadow, or overwrite, another `datasets`."""
  assert not list((REPO / "datasets").rglob("__init__.py"))


# What may be imported where some libraries are missing, or would be slow or
# take the memory of the devices.
WITHOUT = {
  # Model, step, sampler and fields: without the data and loop libraries.
  (
    "threedim_jax.models, threedim_jax.training.train_step,"
    "threedim_jax.diffusion.sampler, threedim_jax.diffusion.losses,"
    "threedim_jax.training.optim, threedim_jax.runtime.sharding,"
    "threedim_jax.views.metrics, threedim_jax.evaluation.fields.fit"
  ): (
    "clu grain tensorflow_datasets ml_collections array_record tensorflow cv2"
    " trimesh embreex"
  ),
  # Workers that render, and what reads views.
  "threedim_jax.views.camera_paths, shapes.objects, srn.objects": (
    "jax tensorflow_datasets"
  ),
  "threedim_jax.views.posed_views": "jax flax",
  "threedim_jax.training.writers": "tensorflow",
}


@pytest.mark.parametrize("modules, banned", WITHOUT.items())
def test_modules_that_need_little(modules, banned):
  code = f"""
import sys
class Refuse:
  def find_spec(self, name, path=None, target=None):
    if name.split(".")[0] in {banned.split()}: raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import {modules}
"""
  path = os.pathsep.join([str(REPO), str(REPO / "datasets")])
  subprocess.run(
    [sys.executable, "-c", code],
    check=True,
    env={**os.environ, "PYTHONPATH": path},
  )
