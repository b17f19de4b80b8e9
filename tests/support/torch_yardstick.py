# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The X-UNet once more, in plain eager PyTorch, to measure speed against.

  python tests/support/torch_yardstick.py --what=train --resolution=64 ...

Written as its users would: frames folded into the batch, channels first (or
--channels_last), PyTorch's own group norm and attention. It computes what
`threedim_jax.models.xunet` does, with as many parameters (printed). PyTorch is
no dependency of anything here; `threedim_jax.benchmark --yardstick=PYTHON`
calls this file with an interpreter that has it.
"""

import argparse
import json
import math
import time

import torch
from torch import nn
import torch.nn.functional as F


class ResnetBlock(nn.Module):
  def __init__(self, c_in, c_out, emb_ch, dropout, resample=None):
    super().__init__()
    self.resample = resample
    self.norm1, self.norm2 = (nn.GroupNorm(32, c, 1e-6) for c in (c_in, c_out))
    self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
    self.film = nn.Linear(emb_ch, 2 * c_out)
    self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
    self.dropout = nn.Dropout(dropout)
    self.skip = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

  def forward(self, h_in, emb):
    h = F.silu(self.norm1(h_in))
    if self.resample == "down":
      h, h_in = F.avg_pool2d(h, 2), F.avg_pool2d(h_in, 2)
    elif self.resample == "up":
      h, h_in = (F.interpolate(x, scale_factor=2.0) for x in (h, h_in))
    h = self.norm2(self.conv1(h))
    film = self.film(F.silu(emb)).permute(0, 3, 1, 2)
    scale, shift = film.chunk(2, dim=1)
    h = self.conv2(self.dropout(F.silu(h * (1 + scale) + shift)))
    return (h + self.skip(h_in)) / math.sqrt(2)


class AttnBlock(nn.Module):
  def __init__(self, channels, heads, cross):
    super().__init__()
    self.heads, self.cross = heads, cross
    self.norm = nn.GroupNorm(32, channels, 1e-6)
    self.q, self.k, self.v, self.out = (
      nn.Linear(channels, channels) for _ in range(4)
    )

  def forward(self, h_in):
    N, C, H, W = h_in.shape
    tokens = self.norm(h_in).flatten(2).transpose(1, 2)
    other = tokens
    if self.cross:
      other = tokens.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
    heads = lambda x: x.unflatten(2, (self.heads, -1)).transpose(1, 2)
    h = F.scaled_dot_product_attention(
      heads(self.q(tokens)), heads(self.k(other)), heads(self.v(other))
    )
    h = self.out(h.transpose(1, 2).flatten(2))
    return (h.transpose(1, 2).unflatten(2, (H, W)) + h_in) / math.sqrt(2)


class XUNet(nn.Module):
  def __init__(self, a):
    super().__init__()
    self.a, levels, R = a, len(a.ch_mult), a.resolution
    D = 144
    self.logsnr = nn.Sequential(
      nn.Linear(a.emb_ch, a.emb_ch), nn.SiLU(), nn.Linear(a.emb_ch, a.emb_ch)
    )
    self.pos_emb = nn.Parameter(torch.randn(R, R, D) / math.sqrt(D))
    self.frame_emb = nn.Parameter(torch.randn(2, D) / math.sqrt(D))
    self.rays = nn.ModuleList(
      nn.Conv2d(D, a.emb_ch, 3, stride=2**i, padding=1) for i in range(levels)
    )
    self.first = nn.Conv2d(3, a.ch, 3, padding=1)
    widths, c, size = [a.ch], a.ch, R
    self.down, self.up = nn.ModuleList(), nn.ModuleList()

    def block(c_in, level):
      c_out = a.ch * a.ch_mult[level]
      parts = [ResnetBlock(c_in, c_out, a.emb_ch, a.dropout)]
      if size in a.attn_resolutions:
        parts += [AttnBlock(c_out, a.attn_heads, x) for x in (False, True)]
      return nn.ModuleList(parts), level

    def resample(level, direction):
      part = ResnetBlock(c, c, a.emb_ch, a.dropout, direction)
      return nn.ModuleList([part]), level

    self.levels = {"down": [], "mid": [], "up": []}

    def add(modules, kind, made):
      modules.append(made[0])
      self.levels[kind].append(made[1])

    for level in range(levels):
      for _ in range(a.num_res_blocks):
        add(self.down, "down", block(c, level))
        c = a.ch * a.ch_mult[level]
        widths.append(c)
      if level != levels - 1:
        add(self.down, "down", resample(level + 1, "down"))
        size //= 2
        widths.append(c)
    self.mid, level = block(c, levels - 1)
    self.levels["mid"].append(level)
    for level in reversed(range(levels)):
      for _ in range(a.num_res_blocks + 1):
        add(self.up, "up", block(c + widths.pop(), level))
        c = a.ch * a.ch_mult[level]
      if level != 0:
        add(self.up, "up", resample(level - 1, "up"))
        size *= 2
    self.norm, self.last = nn.GroupNorm(32, c, 1e-6), nn.Conv2d(c, 3, 3, 1, 1)

  def embeddings(self, logsnr, world_from_cam, K, mask):
    a, R = self.a, self.a.resolution
    t = 2 * torch.atan(torch.exp(-logsnr / 2)) / math.pi
    half = a.emb_ch // 2
    freq = torch.exp(
      -math.log(10000) / (half - 1) * torch.arange(half, device=t.device)
    )
    angle = t[..., None] * 1000 * freq
    emb = self.logsnr(torch.cat([angle.sin(), angle.cos()], -1))
    pixel = torch.arange(R, device=t.device) + 0.5
    v, u = torch.meshgrid(pixel, pixel, indexing="ij")
    uv1 = torch.stack([u, v, torch.ones_like(u)], -1)
    direction = torch.einsum(
      "bfij,hwj->bfhwi", world_from_cam[..., :3, :3] @ K.inverse(), uv1
    )
    direction = F.normalize(direction, dim=-1)
    origin = world_from_cam[..., None, None, :3, 3].expand_as(direction)

    def posenc(x, degrees):
      scales = 2.0 ** torch.arange(degrees, device=x.device)
      angle = (x[..., None] * scales).flatten(-2)
      return torch.cat([x, angle.sin(), angle.cos()], -1)

    rays = torch.cat([posenc(origin, 15), posenc(direction, 8)], -1)
    rays = torch.where(mask[:, None, None, None, None], rays, 0.0)
    rays = rays + self.pos_emb + self.frame_emb[:, None, None]
    rays = rays.flatten(0, 1).permute(0, 3, 1, 2)
    if a.channels_last:
      rays = rays.contiguous(memory_format=torch.channels_last)
    emb = emb.flatten(0, 1)[:, None, None]
    return [emb + conv(rays).permute(0, 2, 3, 1) for conv in self.rays]

  def forward(self, views, logsnr, world_from_cam, K, mask):
    embs = self.embeddings(logsnr, world_from_cam, K, mask)
    h = views.flatten(0, 1)
    if self.a.channels_last:
      h = h.contiguous(memory_format=torch.channels_last)

    def run(parts, level, h):
      h = parts[0](h, embs[level])
      for attn in parts[1:]:
        h = attn(h)
      return h

    h = self.first(h)
    skips = [h]
    for parts, level in zip(self.down, self.levels["down"], strict=True):
      h = run(parts, level, h)
      skips.append(h)
    h = run(self.mid, self.levels["mid"][0], h)
    for parts, level in zip(self.up, self.levels["up"], strict=True):
      resampling = parts[0].resample is not None
      h = run(parts, level, h if resampling else torch.cat([h, skips.pop()], 1))
    h = h.unflatten(0, (-1, 2))[:, 1]
    return self.last(F.silu(self.norm(h)))


def random_batch(a, device):
  B, R = a.batch_size, a.resolution
  pose = torch.eye(4).repeat(B, 2, 1, 1)
  pose[..., :3, 3] = torch.randn(B, 2, 3)
  K = torch.tensor([[R, 0, R / 2], [0, R, R / 2], [0, 0, 1.0]])
  batch = [
    torch.randn(B, 2, 3, R, R), torch.randn(B, 2), pose, K.repeat(B, 2, 1, 1),
    torch.rand(B) > 0.1,
  ]  # fmt: skip
  return [x.to(device) for x in batch]


def measure(a) -> dict:
  """Seconds of a forward pass, or of a training step with Adam and EMA."""
  torch.manual_seed(0)
  device = "cuda" if torch.cuda.is_available() else "cpu"
  model = XUNet(a).to(device)
  if a.channels_last:
    model = model.to(memory_format=torch.channels_last)
  run = torch.compile(model) if a.compile else model
  params = list(model.parameters())
  ema = [p.detach().clone() for p in params]
  adam = torch.optim.Adam(params, 1e-4, betas=(0.9, 0.99))
  batch, eps = random_batch(a, device), None
  eps = torch.randn_like(batch[0][:, 0])
  cast = torch.autocast(device, torch.bfloat16, enabled=a.bf16)

  def forward():
    with torch.no_grad(), cast:
      return run(*batch)

  def train():
    with cast:
      loss = (run(*batch).float() - eps).square().mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
    torch._foreach_lerp_(ema, [p.detach() for p in params], 0.01)

  step, times = {"forward": forward, "train": train}[a.what], []
  for i in range(a.repeats + 2):
    start = time.perf_counter()
    step()
    if device == "cuda":
      torch.cuda.synchronize()
    times.append(time.perf_counter() - start)
    if i > 2 and sum(times) > a.seconds:
      break
  times = sorted(times[2:])
  return {
    "what": a.what,
    "parameters": sum(p.numel() for p in params),
    "seconds": times[len(times) // 2],
    "fastest": times[0],
    "torch": torch.__version__,
    "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    "threads": torch.get_num_threads(),
  }


def main():
  p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  ints = lambda text: tuple(int(x) for x in text.split(","))
  p.add_argument("--what", choices=["forward", "train"], default="train")
  p.add_argument("--resolution", type=int, default=32)
  p.add_argument("--batch_size", type=int, default=32)
  p.add_argument("--ch", type=int, default=32)
  p.add_argument("--ch_mult", type=ints, default=(1, 2, 4))
  p.add_argument("--emb_ch", type=int, default=128)
  p.add_argument("--num_res_blocks", type=int, default=2)
  p.add_argument("--attn_resolutions", type=ints, default=(8, 16))
  p.add_argument("--attn_heads", type=int, default=4)
  p.add_argument("--dropout", type=float, default=0.1)
  p.add_argument("--repeats", type=int, default=20)
  p.add_argument("--seconds", type=float, default=20.0)
  p.add_argument("--bf16", action="store_true")
  p.add_argument("--channels_last", action="store_true")
  p.add_argument("--compile", action="store_true")
  print(json.dumps(measure(p.parse_args())))


if __name__ == "__main__":
  main()
