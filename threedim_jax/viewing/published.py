# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What papers report on single-view SRN ShapeNet at 128x128, as data.

  for entry in PUBLISHED: entry.method, entry.cars, SOURCES[entry.source]

One input view, all other test views are targets. Nothing here was measured by
this code. Only numbers that we found in the source named beside them are
listed, and a few second-hand ones, which say so; a number that could not be
confirmed is left out. None means that the source gives none.
"""

import dataclasses

CATEGORIES = ("cars", "chairs")
RESOLUTION = 128
DECIMALS = {"psnr": 2, "ssim": 2, "lpips": 3, "fid": 2}  # as printed there


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
  """A paper, and where in it the numbers stand."""

  authors: str
  title: str
  venue: str
  arxiv: str
  where: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Numbers:
  psnr: float | None = None  # dB
  ssim: float | None = None
  lpips: float | None = None
  fid: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
  """A method's row; `second_hand`: quoted by others, not seen in `source`."""

  method: str
  source: str  # key of SOURCES
  cars: Numbers = Numbers()
  chairs: Numbers = Numbers()
  second_hand: bool = False
  note: str = ""


SOURCES = {
  "3DiM": Source(
    authors="D. Watson, W. Chan, R. Martin-Brualla, J. Ho, A. Tagliasacchi,"
    " M. Norouzi",
    title="Novel View Synthesis with Diffusion Models",
    venue="ICLR 2023",
    arxiv="2210.04628",
    where="as quoted by others",
  ),
  "Splatter Image": Source(
    authors="S. Szymanowicz, C. Rupprecht, A. Vedaldi",
    title="Splatter Image: Ultra-Fast Single-View 3D Reconstruction",
    venue="CVPR 2024",
    arxiv="2312.13150",
    where="Table 1",
  ),
  "SSDNeRF": Source(
    authors="H. Chen, J. Gu, A. Chen, W. Tian, Z. Tu, L. Liu, H. Su",
    title="Single-Stage Diffusion NeRF: A Unified Approach to 3D Generation"
    " and Reconstruction",
    venue="ICCV 2023",
    arxiv="2304.06714",
    where="README of its code, models in the main paper",
  ),
  "LN3Diff++": Source(
    authors="Y. Lan, F. Hong, S. Zhou, S. Yang, X. Meng, Y. Chen, Z. Lyu,"
    " B. Dai, X. Pan, C. C. Loy",
    title="LN3Diff++: Scalable Latent Neural Fields Diffusion for Speedy 3D"
    " Generation",
    venue="2024",
    arxiv="2403.12019",
    where="Table VII",
  ),
  "Viewset Diffusion": Source(
    authors="S. Szymanowicz, C. Rupprecht, A. Vedaldi",
    title="Viewset Diffusion: (0-)Image-Conditioned 3D Generative Models from"
    " 2D Data",
    venue="ICCV 2023",
    arxiv="2306.07881",
    where="as quoted by others",
  ),
}

PUBLISHED = (
  Entry(
    method="SRN",
    source="Splatter Image",
    cars=Numbers(psnr=22.25, ssim=0.88, lpips=0.129),
    chairs=Numbers(psnr=22.89, ssim=0.89, lpips=0.104),
  ),
  Entry(method="ENR", source="LN3Diff++", chairs=Numbers(psnr=22.83)),
  Entry(
    method="CodeNeRF",
    source="Splatter Image",
    cars=Numbers(psnr=23.80, ssim=0.91, lpips=0.128),
    chairs=Numbers(psnr=23.66, ssim=0.90, lpips=0.166),
  ),
  Entry(
    method="CodeNeRF",
    source="LN3Diff++",
    chairs=Numbers(psnr=22.39, ssim=0.87),
    note="another setting of the poses",
  ),
  Entry(
    method="PixelNeRF",
    source="Splatter Image",
    cars=Numbers(psnr=23.17, ssim=0.89, lpips=0.146),
    chairs=Numbers(psnr=23.72, ssim=0.90, lpips=0.128),
    note="LN3Diff++ gives 0.91 for SSIM on chairs",
  ),
  Entry(
    method="FE-NVS",
    source="Splatter Image",
    cars=Numbers(psnr=22.83, ssim=0.91, lpips=0.099),
    chairs=Numbers(psnr=23.21, ssim=0.92, lpips=0.077),
  ),
  Entry(
    method="VisionNeRF",
    source="Splatter Image",
    cars=Numbers(psnr=22.88, ssim=0.90, lpips=0.084),
    chairs=Numbers(psnr=24.48, ssim=0.92, lpips=0.077),
  ),
  Entry(
    method="Viewset Diffusion without D",
    source="Splatter Image",
    cars=Numbers(psnr=23.21, ssim=0.90, lpips=0.116),
    chairs=Numbers(psnr=24.16, ssim=0.91, lpips=0.088),
  ),
  Entry(
    method="Viewset Diffusion with D",
    source="Viewset Diffusion",
    cars=Numbers(psnr=23.29),
    second_hand=True,
  ),
  Entry(
    method="NerfDiff without NGD",
    source="Splatter Image",
    cars=Numbers(psnr=23.95, ssim=0.92, lpips=0.092),
    chairs=Numbers(psnr=24.80, ssim=0.93, lpips=0.070),
  ),
  Entry(
    method="SSDNeRF",
    source="SSDNeRF",
    cars=Numbers(lpips=0.078, fid=16.39),
    chairs=Numbers(lpips=0.067, fid=10.13),
    note="FID with the Inception network of StyleGAN",
  ),
  Entry(
    method="Splatter Image",
    source="Splatter Image",
    cars=Numbers(psnr=24.00, ssim=0.92, lpips=0.078),
    chairs=Numbers(psnr=24.43, ssim=0.93, lpips=0.067),
  ),
  Entry(
    method="LN3Diff++ (VAE)",
    source="LN3Diff++",
    chairs=Numbers(psnr=20.91, ssim=0.89),
  ),
  Entry(
    method="Pix2NeRF",
    source="LN3Diff++",
    chairs=Numbers(psnr=18.14, ssim=0.84),
  ),
  Entry(
    method="3DiM",
    source="3DiM",
    cars=Numbers(psnr=21.01, ssim=0.57, fid=8.99),
    chairs=Numbers(fid=6.57),
    second_hand=True,
    note="the variant of its SSIM is not stated",
  ),
  Entry(
    method="3DiM, Concat-UNet ablation",
    source="3DiM",
    cars=Numbers(psnr=17.21, fid=21.54),
    second_hand=True,
  ),
)


def number_text(metric: str, value: float | int | None) -> str:
  """With as many decimals as the papers print."""
  return "-" if value is None else f"{value:.{DECIMALS[metric]}f}"
