# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=check_data`: checks whether pictures and cameras agree.

  out = epath.Path("out")
  check_dataset(config, workdir=out)              # a data set that was built
  check_folder("lego", size=None, workdir=out)    # a folder of posed pictures

Both functions print a verdict for each check (see `camera_check`) and write
contact_sheet.png and check_data.json into the folder `workdir`. After writing
the files, the functions raise an error if any check found a fault. In a data
set, only a few objects of the train and test splits are checked.
"""

import dataclasses
import json
import os

from etils import epath
from ml_collections import ConfigDict
import numpy as np

from threedim_jax.inputs import posed_images
from threedim_jax.inputs.camera_check.checks import (
  Check,
  Report,
  check_cameras,
  check_test_range,
)
from threedim_jax.inputs.camera_check.contact_sheet import contact_sheet
from threedim_jax.inputs.view_source import open_split
from threedim_jax.modes.command_line import results_folder, workdir_of
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.image_grid import write_png
from threedim_jax.views.posed_views import PosedViews
from threedim_jax.workdir.protocol import spread

# How many objects and views are checked; more would only take longer.
OBJECTS_OF_SPLIT = {"train": 4, "test": 2}
VIEWS_OF_OBJECT = 24
VIEWS_OF_FOLDER = 48
# Said of SRN data whose test cameras are outside the training range.
SRN_CHAIRS = (
  " SRN chairs were published like this; `datasets/build.py srn --config"
  " chairs_resplit` splits them again"
)


def check_dataset(config: ConfigDict, workdir: epath.Path) -> None:
  """Checks a configuration's data set, and writes what was found to two files.

  Args:
    config: whole configuration.
    workdir: folder for contact_sheet.png and check_data.json.

  Raises:
    UserError: the data set is missing, or its pictures and cameras disagree. In
      the second case, both files are written before the error.
  """
  data = config.data
  objects, names = [], {}
  with progress.waiting(f"read some of {data.name}/{data.config}"):
    for split, count in OBJECTS_OF_SPLIT.items():
      views = open_split(config, split)
      names[split] = []
      for object_id in spread(views.object_ids, count):
        chosen = spread(range(views.num_views(object_id)), VIEWS_OF_OBJECT)
        seen = views.object(object_id, chosen, checked=False)
        names[split].append(f"{split}: {seen.name}")
        objects.append(dataclasses.replace(seen, name=names[split][-1]))
  report = _check(objects)
  known = report.distances
  train, test = ([known[n] for n in names[s] if n in known] for s in names)
  if train and test:
    advice = SRN_CHAIRS if data.name == "srn" else ""
    train, test = np.concatenate(train), np.concatenate(test)
    report.checks.append(check_test_range(train, test, advice))
  _tell(f"{data.name}/{data.config}", objects, report, workdir)


def check_folder(
  folder: str | os.PathLike, size: int | None, workdir: epath.Path
) -> None:
  """Checks a folder of posed pictures, and writes what was found to two files.

  Args:
    folder: folder with the pictures and cameras of one object.
    size: height and width to resize pictures to, in pixels; None: no resizing.
    workdir: folder for contact_sheet.png and check_data.json.

  Raises:
    UserError: the folder cannot be read, or its pictures and cameras disagree.
      In the second case, both files are written before the error.
  """
  frames = posed_images.list_frames(folder)
  chosen = spread(frames, VIEWS_OF_FOLDER)
  posed, mended = posed_images.read_frames(chosen, size)
  name = os.path.basename(os.path.abspath(folder))
  faults = [
    Check(
      "picture size", "fault", f"{text} Write the K of these pictures there"
    )
    for text in mended
  ]
  objects = [dataclasses.replace(posed, name=name)]
  report = _check(objects)
  report.checks.extend(faults)
  _tell(str(folder), objects, report, workdir)


def _check(objects: list[PosedViews]) -> Report:
  with progress.waiting("compare pictures and cameras"):
    return check_cameras(objects)


def _tell(
  source: str, objects: list[PosedViews], report: Report, workdir: epath.Path
) -> None:
  """Prints the verdicts and writes the two files of results.

  Args:
    source: name of the data set or folder that the objects are from.
    objects: views of the objects that were checked.
    report: what was found.
    workdir: folder for contact_sheet.png and check_data.json.

  Raises:
    UserError: a check found a fault.
  """
  for check in report.checks:
    print(f"{check.verdict:5}  {check.name}: {check.text}")
  workdir.mkdir(parents=True, exist_ok=True)
  sheet, results = workdir / "contact_sheet.png", workdir / "check_data.json"
  with progress.waiting("draw a contact sheet"):
    write_png(sheet, contact_sheet(objects, report))
  content = {
    "source": source,
    "verdict": "fault" if report.faults else "ok",
    "best_hypothesis": report.best.name,
    "checks": [vars(check) for check in report.checks],
    "silhouette_iou": report.iou,
    "objects": {o.name: len(o) for o in objects},
  }
  results.write_text(json.dumps(content, indent=2) + "\n")
  print(f"written: {sheet}, {results}")
  if report.faults:
    told = "; ".join(f"{c.name}: {c.text}" for c in report.faults)
    raise UserError(f"{source} has a fault. {told}. Look at {sheet}.")
  print(f"{source}: pictures and cameras agree.")


def run(config: ConfigDict | None, args) -> None:
  """Runs `--mode=check_data` for a data set or a folder of posed pictures.

  `config` is None without --config.

  Raises:
    UserError: neither --config nor --views is given, or a check finds a fault.
  """
  if args.views:
    out = results_folder(args, args.views, "check")
    check_folder(args.views, args.size, out)
  elif config is not None:
    check_dataset(config, workdir_of(args))
  else:
    raise UserError(
      "--mode=check_data needs --config=FILE.py, whose data set it checks, or"
      " --views=DIR, a folder of posed pictures of one object"
    )
