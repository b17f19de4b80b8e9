# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=sample`: generates views of test objects, or of an object in a photo.

Every object gets a folder `<workdir>/samples/<object>/` (see `workdir.samples`)
with its views, a grid, GIF, MP4, orbit viewer and transforms.json.
`orbits.gif`, `orbits.mp4` and `views.png` in the workdir show the first few
objects together.
"""

from etils import epath
import jax
from ml_collections import ConfigDict

from threedim_jax.inputs.view_source import Views, open_split
from threedim_jax.modes.command_line import workdir_of
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.processes import wait_for_all
from threedim_jax.sampling.generate import generate, my_share
from threedim_jax.sampling.load import load_sampler, settings_of
from threedim_jax.sampling.photo import Photo, photo_from_flags, photo_scene
from threedim_jax.sampling.scene import read_scene
from threedim_jax.viewing.show import show, show_together
from threedim_jax.workdir import samples
from threedim_jax.workdir.protocol import (
  Request,
  by_shape,
  input_view_of,
  spread,
)

# Number of views in one turn of SRN's test spiral (251 views in 3.2 turns).
# Views of one turn play as a smooth orbit.
TURN_VIEWS = 78

NUM_TOGETHER = 8  # objects in views.png, orbits.gif and orbits.mp4


def sample(
  config: ConfigDict,
  workdir: epath.PathLike,
  pretrained: str | None = None,
  overwrite: bool = False,
) -> list[epath.Path]:
  """Samples views of test objects, and writes one folder for each object.

  Args:
    config: whole configuration.
    workdir: folder that holds the checkpoint; the samples are written there.
    pretrained: name of bundled weights to use instead of the checkpoint.
    overwrite: whether to replace samples made with other settings.

  Returns:
    The folders of the objects that this process sampled.

  Raises:
    UserError: there are no weights or no data set, or existing samples were
      made with other settings.
  """
  workdir = epath.Path(workdir)
  try:
    views = open_split(config, "test")
  except UserError as e:
    raise UserError(f"{e} (or name a picture with --image=FILE)") from e
  requests = choose_requests(config, views)
  sampler = load_sampler(pretrained, workdir=workdir, config=config)
  folders, first = [], {}
  for group in by_shape(my_share(requests)):
    for sampled in generate(
      sampler,
      group,
      lambda request: read_scene(views, request),
      workdir / "samples",
      settings_of(config),
      batch_size=config.sample.batch_size,
      overwrite=overwrite,
    ):
      folders.append(workdir / "samples" / sampled.object_id)
      show(folders[-1], sampled)
      if len(first) < NUM_TOGETHER:
        first[sampled.object_id] = sampled
  with progress.waiting("wait for the other processes"):
    wait_for_all("sampled")
  if jax.process_index() == 0:
    names = [request.object_id for request in requests[:NUM_TOGETHER]]
    folder = workdir / "samples"
    together = [
      first.get(name) or samples.read_sample(folder / name) for name in names
    ]
    show_together(workdir, together)
    print(f"orbit viewer: {folder / names[0] / 'viewer.html'}")
  return folders


def sample_photo(
  config: ConfigDict,
  workdir: epath.PathLike,
  photo: Photo,
  pretrained: str | None = None,
  overwrite: bool = False,
) -> epath.Path:
  """Samples views of the object in a photo; returns the object's folder.

  Args:
    config: whole configuration.
    workdir: folder that holds the checkpoint; the samples are written there.
    photo: the photo and its camera.
    pretrained: name of bundled weights to use instead of the checkpoint.
    overwrite: whether to replace samples made with other settings.
  """
  workdir = epath.Path(workdir)
  scene = photo_scene(photo, config.data.resolution, config.sample.num_views)
  request = Request(scene.given.name, (0,), tuple(scene.index.tolist()))
  folder = workdir / "samples" / request.object_id
  for sampled in generate(
    load_sampler(pretrained, workdir=workdir, config=config),
    my_share([request]),  # of several processes, only the first one samples
    lambda _: scene,
    workdir / "samples",
    settings_of(config),
    batch_size=1,
    overwrite=overwrite,
  ):
    show(folder, sampled)
    show_together(workdir, [sampled])
    print(f"orbit viewer: {folder / 'viewer.html'}")
  with progress.waiting("wait for the other processes"):
    wait_for_all("sampled")
  return folder


def choose_requests(config: ConfigDict, views: Views) -> list[Request]:
  """Lists the given and target views of each object to sample.

  An object's target views come from a single turn around the object.

  Args:
    config: whole configuration. The section `sample` names the objects or says
      how many to take, and says how many views to generate.
    views: the test split.

  Raises:
    UserError: an object has no view left to generate.
  """
  object_ids = (
    config.sample.objects or views.object_ids[: config.sample.num_objects]
  )
  requests = []
  for object_id in object_ids:
    count = views.num_views(object_id)
    first = input_view_of(count)
    others = [i for i in range(count) if i != first]
    given = (first, *spread(others, config.sample.num_input_views - 1))
    turn = [i for i in one_turn(count, first) if i not in given]
    wanted = spread(turn, config.sample.num_views)
    if not wanted:
      raise UserError(
        f"object '{object_id}' has {count} views, and sample.num_input_views"
        f" = {config.sample.num_input_views} leaves none to generate"
      )
    requests.append(Request(object_id, given, wanted))
  return requests


def one_turn(count: int, middle: int) -> range:
  """Returns the indices of the cameras in one turn around an object.

  SRN's cameras lie on a spiral, on which `TURN_VIEWS` cameras make one turn.

  Args:
    count: number of cameras. If they make less than a turn, all are returned.
    middle: index of the camera in the middle of the turn. Near the ends of the
      spiral, the turn is shifted to stay on the spiral.
  """
  first = min(max(0, middle - TURN_VIEWS // 2), max(0, count - TURN_VIEWS))
  return range(first, min(count, first + TURN_VIEWS))


def run(config: ConfigDict, args) -> None:
  """Runs `--mode=sample` for objects of the data set, or for --image."""
  options = args.pretrained, args.overwrite
  if args.image:
    sample_photo(config, workdir_of(args), photo_from_flags(args), *options)
  else:
    sample(config, workdir_of(args), *options)
