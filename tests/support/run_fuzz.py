# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Feeds damaged weights, data sets and command lines to what a run reads.

python tests/support/run_fuzz.py all --number 10000    # a table
python tests/support/run_fuzz.py pth --number 1 --first 123    # one try
"""

import functools
import hashlib
import io
import json
import os
import pathlib
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]
# Before JAX: the process must not look for accelerators.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from absl import flags  # noqa: E402
from absl.testing import flagsaver  # noqa: E402
from array_record.python import array_record_module  # noqa: E402
from etils import epath  # noqa: E402
from flax import serialization  # noqa: E402
import jax  # noqa: E402
import mutations  # noqa: E402
from mutations import (  # noqa: E402
  Outcome,
  fuzz,
  mutate,
  mutate_json,
)
import numpy as np  # noqa: E402
import tiny_dataset  # noqa: E402

from threedim_jax.evaluation.distances.torch_file import (  # noqa: E402
  read_state_dict,
)
from threedim_jax.inputs.pairs import train_iterator  # noqa: E402
from threedim_jax.inputs.view_source import open_views  # noqa: E402
from threedim_jax.models import make_init_fn, pretrained  # noqa: E402
from threedim_jax.modes import command_line  # noqa: E402
from threedim_jax.runtime import progress  # noqa: E402
from threedim_jax.runtime.sharding import make_mesh  # noqa: E402
from threedim_jax.sampling.load import settings_of  # noqa: E402
from threedim_jax.training.ema import ema_decay  # noqa: E402
from threedim_jax.training.optim import make_tx  # noqa: E402
from threedim_jax.training.train_step import num_microbatches  # noqa: E402
from threedim_jax.workdir.config_file import check_workdir  # noqa: E402

# ----------------------------------------------------------------- weights

WEIGHTS = "shapes32"


def _small_params() -> dict:
  rng = np.random.default_rng(0)
  half = lambda *shape: np.float16(rng.standard_normal(shape))
  return {
    "Conv_0": {"kernel": half(3, 3, 3, 4), "bias": half(4)},
    "Dense_0": {"kernel": half(4, 2), "bias": half(2)},
  }


def _weights() -> dict[str, bytes]:
  settings = pretrained.describe(WEIGHTS)
  return {
    f"{WEIGHTS}.msgpack": serialization.msgpack_serialize(_small_params()),
    f"{WEIGHTS}.json": json.dumps(settings).encode(),
  }


def read_weights(files: dict[str, bytes]) -> None:
  """Reads bundled weights of which one file is damaged.

  In every second try the parameters have the digest that is expected: then the
  decoder alone has to find the damage.
  """
  expected = _weights()
  parameters = f"{WEIGHTS}.msgpack"
  if sum(files[parameters]) % 2:
    expected[parameters] = files[parameters]
  before = pretrained.WEIGHTS_DIR, pretrained.SHA256[WEIGHTS]
  with _folder(files) as folder:
    pretrained.WEIGHTS_DIR = epath.Path(folder)
    pretrained.SHA256[WEIGHTS] = {
      pathlib.Path(name).suffix: hashlib.sha256(data).hexdigest()
      for name, data in expected.items()
    }
    try:
      assert pretrained.describe(WEIGHTS) == json.loads(
        expected[f"{WEIGHTS}.json"]
      )
      shapes = jax.tree.map(np.float32, _small_params())
      pretrained.load_pretrained(WEIGHTS, shapes)
    finally:
      pretrained.WEIGHTS_DIR, pretrained.SHA256[WEIGHTS] = before


# ------------------------------------------------------------ PyTorch files


def _states() -> dict[str, bytes]:
  names = "state_zip.pth", "state_legacy.pth"
  return {n: (ROOT / "tests/data" / n).read_bytes() for n in names}


def _damage_state(data: bytes, rng: np.random.Generator) -> bytes:
  """Damages a member of the zip file, or its pickle as text."""
  if not data.startswith(b"PK"):
    return mutate(data, rng)
  with zipfile.ZipFile(io.BytesIO(data)) as old:
    members = {name: old.read(name) for name in old.namelist()}
  names = sorted(members, key=lambda name: not name.endswith("data.pkl"))
  name = names[int(rng.integers(len(names)))] if rng.integers(4) else names[0]
  members[name] = mutate(members[name], rng)
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as new:
    for name, content in members.items():
      new.writestr(name, content)
  return file.getvalue()


def read_states(files: dict[str, bytes]) -> None:
  """Reads what is damaged, as if its digest were the one that is expected."""
  with _folder(files) as folder:
    for name, data in files.items():
      state = read_state_dict(
        folder / name,
        sha256=hashlib.sha256(data).hexdigest(),
        origin="Get it again.",
      )
      for key, array in state.items():
        assert isinstance(key, str) and isinstance(array, np.ndarray)
        np.array(array).sum()  # touches every element


# --------------------------------------------------------------- data sets

RESOLUTION, SHARD = 8, "tiny-train.array_record-00000-of-00001"
RECORD = "record 0"


@functools.cache
def _dataset() -> dict[str, bytes]:
  """The files of a data set, and the first record, which a checksum guards."""
  with tempfile.TemporaryDirectory() as name:
    folder = tiny_dataset.write_tiny_dataset(name, 2, 3, RESOLUTION)
    kept = ("objects.json", "dataset_info.json", "features.json", SHARD)
    files = {path: (folder / path).read_bytes() for path in kept}
    return files | {RECORD: _records(folder / SHARD)[0]}


def _records(shard: os.PathLike) -> list[bytes]:
  reader = array_record_module.ArrayRecordReader(os.fspath(shard))
  return reader.read_all()


def _damage_text(data: bytes, rng: np.random.Generator) -> bytes:
  if data[:1] not in b"{[":
    return mutate(data, rng)
  return json.dumps(mutate_json(json.loads(data), rng)).encode()


def read_dataset(files: dict[str, bytes]) -> None:
  """Reads every view, and a batch for training."""
  files = dict(files)
  first = files.pop(RECORD)
  with _folder(files, "tiny/8/1.0.0") as root:
    if first != _dataset()[RECORD]:
      shard = root / "tiny/8/1.0.0" / SHARD
      records = [first, *_records(shard)[1:]]
      writer = array_record_module.ArrayRecordWriter(str(shard), "group_size:1")
      for record in records:
        writer.write(record)
      writer.close()
    views = open_views(root, "tiny", "8", "train", resolution=RESOLUTION)
    for record in range(len(views)):
      image_u8, pose, K = views.read(record)
      assert image_u8.shape == (RESOLUTION, RESOLUTION, 3)
      assert pose.shape == (4, 4) and K.shape == (3, 3)
    posed = views.object(views.object_ids[0], [0, 1])
    assert np.isfinite(posed.K).all()
    batches = train_iterator(
      views, global_batch_size=2, seed=0, process=(0, 1), num_threads=0
    )
    assert np.isfinite(next(batches).target_cam.world_from_cam).all()


# ------------------------------------------------------------ command lines

CONFIG = "--config=configs/srn_chairs.py:debug"
OVERRIDES = """\
--config.seed=3
--config.mesh.fsdp=1
--config.data.name=shapes
--config.data.data_dir=~/data
--config.data.resolution=16
--config.data.fixed_pairs=True
--config.data.num_threads=2
--config.model.ch=64
--config.model.ch_mult=(1, 2)
--config.model.emb_ch=32
--config.model.num_res_blocks=1
--config.model.attn_resolutions=(8,)
--config.model.cross_attn_resolutions=(8, 16)
--config.model.norm_groups=8
--config.model.dropout=0.1
--noconfig.model.use_pos_emb
--config.model.patch_size=1
--config.model.detail_ch=8
--config.model.dtype=bfloat16
--config.diffusion.prediction=v
--config.diffusion.logsnr_shift=-1.5
--config.diffusion.min_snr_gamma=5.0
--config.optim.learning_rate=1e-4
--config.optim.warmup_examples=100
--config.optim.decay_examples=40
--config.optim.b1=0.9
--config.optim.ema_half_life_examples=500
--config.train.batch_size=8
--config.train.per_device_batch_size=4
--config.train.init_from=
--config.train.checkpoint_every_minutes=2.5
--config.sampler.num_sample_steps=16
--config.sampler.guidance_weight=2
--config.sampler.guidance_interval=(-10.0, 10.0)
--config.sampler.seed=1
--config.sampler.camera_distance=2.0
--config.sampler.conditioning=first
--config.sample.objects=('a', 'b')
--config.sample.num_views=3
--config.evaluate.num_objects=2
--config.evaluate.num_shards=2
--config.evaluate.shard_index=1
"""


def _damage_override(data: bytes, rng: np.random.Generator) -> bytes:
  """Damages a single word, or the value in it."""
  words = data.splitlines()
  i = int(rng.integers(len(words)))
  key, equals, value = words[i].partition(b"=")
  words[i] = (
    key + equals + mutate(value, rng)
    if rng.integers(2)
    else mutate(words[i], rng)
  )
  return b"\n".join(words)


def read_overrides(files: dict[str, bytes]) -> None:
  """Parses a command line, and sets up with it what costs no time."""
  # No word can hold a NUL or a line break here; a shell cannot pass the first.
  text = os.fsdecode(files["words"].replace(b"\0", b""))
  words = [word for word in text.split("\n") if word]
  with tempfile.TemporaryDirectory() as name:
    before = sorted(pathlib.Path(name).rglob("*"))
    with flagsaver.flagsaver():
      flags.FLAGS.unparse_flags()
      try:
        argv = ["main", "--dry_run", CONFIG, *words]
        _, config, _ = command_line.parse(argv)
      finally:
        flags.FLAGS.mark_as_parsed()
        assert before == sorted(pathlib.Path(name).rglob("*"))
    for _ in range(2):  # written, then read again
      check_workdir(pathlib.Path(name, "w"), config.to_dict(), write=True)
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
    num_microbatches(
      config.train.batch_size, config.train.per_device_batch_size, mesh.size
    )
    rate = make_tx(config)
    rate.init({"w": np.zeros(2, np.float32)})
    ema_decay(config.optim.ema_half_life_examples, config.train.batch_size)
    jax.random.key(config.seed)
    settings = settings_of(config)
    settings.single_key(), settings.static_options()
    json.dumps(settings.facts(), allow_nan=False)
    network = config.model.to_dict(), config.data.resolution
    _trace_network(repr(network), config)


_traced = set()


def _trace_network(key: str, config) -> None:
  """Traces each network once; a second for one of few blocks."""
  model = config.model
  is_small = len(model.ch_mult) * model.num_res_blocks <= 4
  if is_small and key not in _traced:
    jax.eval_shape(make_init_fn(config), jax.random.key(0))
    _traced.add(key)


# ----------------------------------------------------------------- readers


class _folder(tempfile.TemporaryDirectory):
  """A folder of these files; fails if reading them changes what lies there."""

  def __init__(self, files: dict[str, bytes], below: str = ""):
    super().__init__()
    self.root = pathlib.Path(self.name)
    for path, data in files.items():
      (self.root / below / path).parent.mkdir(parents=True, exist_ok=True)
      (self.root / below / path).write_bytes(data)
    self.before = self._paths()

  def _paths(self):
    return sorted(self.root.rglob("*"))

  def __enter__(self) -> pathlib.Path:
    super().__enter__()
    return self.root

  def __exit__(self, *exception):
    written = set(self._paths()) - set(self.before)
    super().__exit__(*exception)
    assert not written, f"wrote {written}"


READERS = {
  "msgpack": (read_weights, _weights, _damage_text),
  "pth": (read_states, _states, _damage_state),
  "array_record": (read_dataset, _dataset, _damage_text),
  "overrides": (
    read_overrides,
    lambda: {"words": OVERRIDES.encode()},
    _damage_override,
  ),
}


def fuzz_reader(reader: str, number: int, seed: int, first: int) -> Outcome:
  progress.set_quiet(True)
  read, make_files, damage = READERS[reader]
  files = make_files()
  read(files)  # what is loaded once is no growth
  return fuzz(read, files, number, seed, first, damage)


if __name__ == "__main__":
  mutations.command_line(__file__, __doc__, READERS, fuzz_reader)
