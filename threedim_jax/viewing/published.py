# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Compares a run's scores with published scores on SRN ShapeNet.

  run = read_run("W")  # W is the workdir
  published_blocks(run)  # blocks for `page.write_page`

All scores are of 128x128 views that were generated from one given view. In
published.csv, each row names its paper, the table in the paper, the split of
the data, and the SSIM kernel (the window over which SSIM is computed). Only
numbers of the same split and kernel are comparable. `chairs*` is 3DiM's own
split of SRN's chairs. 3DiM made it because the released split has test cameras
at distances that never occur in training. The kernel `gauss11` is the kernel of
our metric `ssim_gauss11`. For some earlier methods the 3DiM paper also reports
SSIM with another kernel, which it does not name: `other`.
"""

import csv
import functools
import pathlib
from typing import Any

from threedim_jax.viewing.page import Card, Cell, Table, Text
from threedim_jax.viewing.tables import protocol_text
from threedim_jax.workdir.run import Run
from threedim_jax.workdir.scores import Scores

RESOLUTION = 128
SPLITS = {  # by data set
  "srn/cars": "cars",
  "srn/chairs": "chairs",
  "srn/chairs_resplit": "chairs*",
}
CONSISTENCY = "table 5"  # all other tables are scores against true views
COLUMNS = {
  "psnr": "PSNR\u00a0↑",
  "ssim": "SSIM\u00a0↑",
  "ssim_kernel": "SSIM kernel",
  "fid": "FID\u00a0↓",
  "source": "source",
}
OURS = "measured here"
CITATIONS = """
3DiM: Watson et al., Novel View Synthesis with Diffusion Models, ICLR 2023,
arXiv:2210.04628. Splatter Image: Szymanowicz et al., Splatter Image: Ultra-Fast
Single-View 3D Reconstruction, CVPR 2024, arXiv:2312.13150. SSDNeRF: Chen et
al., Single-Stage Diffusion NeRF, ICCV 2023, arXiv:2304.06714; its FID is by the
Inception network of StyleGAN. LN3Diff++: Lan et al., Scalable Latent Neural
Fields Diffusion for Speedy 3D Generation, 2024, arXiv:2403.12019. “-”: the
source gives no such number.
"""


@functools.cache
def read_published() -> tuple[dict[str, str], ...]:
  """Reads the rows of published.csv, each as {column: text}.

  The text is "" where the paper does not give the number.
  """
  path = pathlib.Path(__file__).with_name("published.csv")
  with path.open(newline="") as file:
    return tuple(csv.DictReader(file))


def published_blocks(run: Run) -> list[Any]:
  """Makes page blocks that compare a run's scores with published scores.

  The published scores are for the split of the run's data set, see `SPLITS`. If
  no paper has numbers for the run's data set and resolution, the result is a
  single block that says so.
  """
  split, size = SPLITS.get(run.data_set), run.setting("data", "resolution")
  if split is None or size != RESOLUTION:
    text = (
      "No published number compares with this run: papers report SRN cars and"
      f" chairs at {RESOLUTION}x{RESOLUTION} pixels, and this run's data set is"
    )
    what = f"{run.data_set} at {size}x{size}" if run.data_set else "unknown"
    return [Text(f"{text} {what}.", style="card quiet")]
  of_split = [row for row in read_published() if row["split"] == split]
  against_truth = [r for r in of_split if r["table"] != CONSISTENCY]
  if run.evaluation and "model" in run.evaluation.rows:
    against_truth.append(_our_row("this run", run.evaluation, "model"))
  blocks = [Card([_table(against_truth)], title=f"SRN {split}, new views")]
  fields = [r for r in of_split if r["table"] == CONSISTENCY]
  if fields:
    for folder, scores in run.consistency.items():
      fields += [
        _our_row(f"this run, {folder}: {row}", scores, row)
        for row in scores.rows
        if row != "white image"
      ]
    text = (
      "The details of a field move this score a lot: only scores of one"
      " implementation compare."
    )
    title = f"SRN {split}, 3D consistency"
    blocks.append(Card([_table(fields), Text(text)], title=title))
  return [*blocks, Text(CITATIONS)]


def _our_row(system: str, scores: Scores, row: str) -> dict[str, str]:
  """Converts one row of the run's scores to a row like those of published.csv.

  Args:
    system: text for the column "system", such as "this run".
    row: name of the row to convert, such as "model".
  """
  values = scores.rows[row]
  ours = {"system": system, "source": OURS, "table": protocol_text(scores)}
  metrics = {"psnr": "psnr_u8", "ssim": "ssim_gauss11", "fid": "fid"}
  for column, metric in metrics.items():
    ours[column] = f"{values[metric]:.2f}" if metric in values else ""
  ours["ssim_kernel"] = "gauss11" if ours["ssim"] else ""
  if ours["fid"]:
    ours["fid"] += f" (n = {scores.num_images})"
  return ours


def _table(rows: list[dict[str, str]]) -> Table:
  heads = [Cell(""), *map(Cell, COLUMNS.values())]
  body = []
  for row in rows:
    style = "ours" if row["source"] == OURS else ""
    texts = {**row, "source": f"{row['source']}: {row['table']}"}
    columns = ["system", *COLUMNS]
    body.append([Cell(texts[c] or "-", style=style) for c in columns])
  return Table(body, heads, style="published")
