# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""`--mode=sample`: views of test objects as folders, grids, GIF, MP4, viewer.

Everything lands in `<workdir>/samples/<object>/`, see `sample_io`.
"""

from etils import epath
import jax
from ml_collections import ConfigDict

from threedim_jax.inputs.view_source import Views, open_split
from threedim_jax.modes.command_line import workdir_of
from threedim_jax.runtime import progress
from threedim_jax.runtime.errors import UserError
from threedim_jax.runtime.processes import wait_for_all
from threedim_jax.sampling.generate import Generator, my_share
from threedim_jax.viewing.show import show, show_together
from threedim_jax.workdir import samples as sample_io
from threedim_jax.workdir.protocol import (
  Request,
  by_shape,
  input_view_of,
  spread,
)

# One turn of SRN's test spiral (251 views in 3.2 turns): poses within it are
# neighbours, so that the generated views play as a smooth orbit.
TURN_VIEWS = 78

NUM_TOGETHER = 4  # objects in the pictures beside the report


def one_turn(count: int, middle: int) -> range:
  """Indices of up to one turn of `count` poses, around the middle one."""
  first = min(max(0, middle - TURN_VIEWS // 2), max(0, count - TURN_VIEWS))
  return range(first, min(count, first + TURN_VIEWS))


def requests_of(config: ConfigDict, views: Views) -> list[Request]:
  """The chosen objects, seen along one turn of their poses."""
  object_ids = (
    config.sample.objects or views.object_ids[: config.sample.num_objects]
  )
  requests = []
  for object_id in object_ids:
    count = views.num_views(object_id)
    first = input_view_of(count)
    others = [i for i in range(count) if i != first]
    more = spread(others, config.sample.num_input_views - 1)
    given = (first, *more)
    turn = [i for i in one_turn(count, first) if i not in given]
    wanted = spread(turn, config.sample.num_views)
    if not wanted:
      raise UserError(
        f"object '{object_id}' has {count} views, and sample.num_input_views"
        f" = {config.sample.num_input_views} leaves none to generate"
      )
    requests.append(Request(object_id, given, wanted))
  return requests


def sample(
  config: ConfigDict, workdir: epath.PathLike, pretrained: str | None = None
) -> list[epath.Path]:
  """Samples and shows; returns the folders of this process's objects."""
  workdir = epath.Path(workdir)
  views = open_split(config, "test")
  requests = requests_of(config, views)
  generator = Generator(config, workdir, pretrained)
  folders = []
  for group in by_shape(my_share(requests)):
    folders += generator.run(
      views,
      group,
      workdir / "samples",
      batch_size=config.sample.batch_size,
      seed=config.sampler.seed,
    )
  with progress.bar("write pictures", total=len(folders)) as bar:
    for folder in folders:
      show(folder, sample_io.read_sample(folder))
      bar.advance()
  with progress.waiting("wait for the other processes"):
    wait_for_all("sampled")
  if jax.process_index() == 0:
    names = [sample_io.folder_name(r.object_id) for r in requests]
    shown = [workdir / "samples" / name for name in names[:NUM_TOGETHER]]
    show_together(workdir, [sample_io.read_sample(f) for f in shown])
  return folders


def run(config: ConfigDict, args) -> None:
  """`--mode=sample`: of the data set's objects, or of one's own picture."""
  from threedim_jax.sampling.sample_image import photo_from_flags, sample_image

  if args.image:
    photo = photo_from_flags(args)
    sample_image(config, workdir_of(args), photo, args.pretrained)
  else:
    sample(config, workdir_of(args), args.pretrained)
