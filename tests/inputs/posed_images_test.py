# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of posed images: the same scene in every layout, and bad files."""

import json
import shutil

import cv2
import numpy as np
from PIL import Image
from posed_folders import (
  srn_intrinsics,
  write_pictures,
  write_pose_folder,
  write_transforms,
)
import pytest

from threedim_jax.inputs.posed_images import read_posed_images
from threedim_jax.inputs.posed_images.pictures import open_picture
from threedim_jax.runtime.errors import UserError
from threedim_jax.views import camera_paths

N, SIDE = 12, 16
POSES = camera_paths.random_views(np.random.default_rng(0), N, 2.0)
K = camera_paths.default_K(SIDE)
# r_10 comes after r_9: natural order.
NAMES = [f"r_{i}" for i in range(N)]


def matrix_text(K, side=4) -> str:
  full = np.eye(side)
  full[:3, :3] = K
  return "\n".join(" ".join(f"{x:.9g}" for x in row) for row in full) + "\n"


def pictures(h=SIDE, w=SIDE, channels=3) -> np.ndarray:
  size = (N, h, w, channels)
  return np.random.default_rng(1).integers(0, 256, size, np.uint8)


def assert_is_scene(posed, names, images, K=K, poses=POSES):
  assert len(posed) == len(names)
  np.testing.assert_array_equal(posed.images_u8, images)
  np.testing.assert_allclose(posed.world_from_cam, poses, atol=1e-6)
  np.testing.assert_allclose(posed.K, np.tile(K, (len(names), 1, 1)), rtol=1e-6)
  assert posed.world_from_cam.dtype == posed.K.dtype == np.float32


# ------------------------------------------------------- the same scene

# The flag in the last line says that poses are world-to-camera.
INVERSE = srn_intrinsics(K, (SIDE, SIDE)) + "1\n"


@pytest.mark.parametrize(
  "intrinsics",
  [
    matrix_text(K),
    matrix_text(K, 3),
    matrix_text(K).replace("\n", " "),
    f"{K[0, 0]} {SIDE / 2} {SIDE / 2} 0.\n",
    f"{K[0, 0]} {SIDE / 2} {SIDE / 2} 0.\n0. 0. 0.\n1.\n",
    srn_intrinsics(K, (SIDE, SIDE)),
    srn_intrinsics(K, (SIDE, SIDE)) + "0\n",
    INVERSE,
  ],
)
def test_every_form_of_intrinsics(tmp_path, intrinsics):
  images = pictures()
  has_flag = intrinsics == INVERSE
  poses = np.linalg.inv(POSES) if has_flag else POSES
  write_pose_folder(tmp_path, NAMES, images, poses, intrinsics)
  assert_is_scene(read_posed_images(tmp_path), NAMES, images)


ANGLE = 2 * np.arctan(SIDE / 2 / K[0, 0])
FLAT = {"fl_x": K[0, 0], "cx": SIDE / 2, "cy": SIDE / 2, "w": SIDE, "h": SIDE}


@pytest.mark.parametrize(
  "head, frame",
  [
    ({"camera_angle_x": ANGLE}, {}),
    ({"camera_angle_x": ANGLE, "camera_angle_y": ANGLE}, {}),
    (FLAT, {}),
    ({**FLAT, "fl_y": K[0, 0], "k1": 0.0, "camera_model": "OPENCV"}, {}),
    ({}, FLAT),
  ],
)
def test_every_form_of_transforms(tmp_path, head, frame):
  images = pictures()
  names = [f"images/{name}" for name in NAMES]
  write_transforms(tmp_path, head, names, images, POSES, **frame)
  assert_is_scene(read_posed_images(tmp_path), names, images)


def test_transforms_of_a_split(tmp_path, capsys):
  write_transforms(
    tmp_path, {"camera_angle_x": ANGLE}, NAMES, pictures(), POSES
  )
  whole = (tmp_path / "transforms.json").rename(
    tmp_path / "transforms_val.json"
  )
  assert len(read_posed_images(tmp_path)) == N
  content = json.loads(whole.read_text())
  content["frames"] = content["frames"][:5]
  (tmp_path / "transforms_train.json").write_text(json.dumps(content))
  assert len(read_posed_images(tmp_path)) == 5
  said = capsys.readouterr().out
  assert "reads transforms_train.json, not ['transforms_val.json']" in said


def test_other_spellings_of_the_same_file(tmp_path):
  """A byte-order mark, UTF-16, Windows paths, poses without the last row."""
  images = pictures()
  names = [f"images/{name}" for name in NAMES]
  write_transforms(tmp_path, FLAT, names, images, POSES)
  file = tmp_path / "transforms.json"
  content = json.loads(file.read_text())
  for frame in content["frames"]:
    frame["transform_matrix"] = frame["transform_matrix"][:3]
    frame["file_path"] = frame["file_path"].replace("/", "\\")
  for encoding in ("utf-8-sig", "utf-16"):
    file.write_text(json.dumps(content), encoding=encoding)
    assert_is_scene(read_posed_images(tmp_path), names, images)
  text = srn_intrinsics(K, (SIDE, SIDE))
  folder = write_pose_folder(tmp_path / "srn", NAMES, images, POSES, text)
  for i, path in enumerate([folder / "intrinsics.txt", *folder.glob("pose/*")]):
    text = path.read_text()
    path.write_text(text, encoding=("utf-8-sig", "utf-16")[i % 2])
  assert_is_scene(read_posed_images(folder), NAMES, images)


@pytest.mark.parametrize("suffix", [".tiff", ".ppm", ".bmp", ".webp"])
def test_8_bit_pictures_of_other_formats_are_read(folder, suffix):
  for path in folder.glob("rgb/*"):
    path.write_bytes(encoded(suffix, cv2.imread(str(path))))
  read_posed_images(folder)
  jpeg_2000 = encoded(".jp2", np.uint8(LARGE // 8))
  assert open_picture(jpeg_2000, "a.jp2").getpixel((0, 0)) == (125, 125, 125)


@pytest.mark.parametrize(
  "stored, named",
  [
    (".png", ""),
    (".JPG", ""),
    (".jpeg", ""),
    (".webp", ""),
    (".WebP", ".webp"),
    (".JPG", ".jpg"),
    (".png", ".PNG"),
    (".tif", ""),
    (".TIFF", ".tiff"),
    (".bmp", ""),
    (".gif", ""),
  ],
)
def test_the_suffix_may_be_missing_or_of_another_case(tmp_path, stored, named):
  images = np.full((N, SIDE, SIDE, 3), 60, np.uint8)
  write_transforms(tmp_path, FLAT, NAMES, images, POSES)
  for name in NAMES:
    (tmp_path / f"{name}.png").unlink()
    Image.fromarray(images[0]).save(tmp_path / (name + stored), lossless=True)
  file = tmp_path / "transforms.json"
  content = json.loads(file.read_text())
  for frame in content["frames"]:
    frame["file_path"] += named
  file.write_text(json.dumps(content))
  assert_is_scene(read_posed_images(tmp_path), NAMES, images)


def test_paths_may_take_any_way_that_ends_in_the_folder(tmp_path):
  images = pictures()
  names = [f"images/{name}" for name in NAMES]
  scene = write_transforms(tmp_path / "s", FLAT, names, images, POSES)
  file = scene / "transforms.json"
  content = json.loads(file.read_text())
  content["frames"][0]["file_path"] = str(scene / "images/r_0.png")
  content["frames"][1]["file_path"] = "masks/../images/r_1"
  content["frames"][2]["file_path"] = "../s/images/r_2.png"
  file.write_text(json.dumps(content))
  assert_is_scene(read_posed_images(scene), names, images)


def test_tiff_pictures_in_rgb(tmp_path):
  images = pictures()
  write_pose_folder(tmp_path, NAMES, images, POSES, matrix_text(K))
  for name, image in zip(NAMES, images, strict=True):
    (tmp_path / f"rgb/{name}.png").unlink()
    Image.fromarray(image).save(tmp_path / f"rgb/{name}.tif")
  assert_is_scene(read_posed_images(tmp_path), NAMES, images)


# Keys that files of known programs have, beside those of the lens.
COLMAP_KEYS = {k: 0.0 for k in ("k1", "k2", "k3", "k4", "p1", "p2")}
PROGRAMS = {
  "nerfstudio": (
    FLAT
    | COLMAP_KEYS
    | {"camera_model": "OPENCV", "orientation_override": "none"}
    | {"applied_transform": np.eye(4)[:3].tolist(), "applied_scale": 1.0}
    | {"ply_file_path": "sparse_pc.ply", "fisheye_crop_radius": 1000}
    | {"train_filenames": ["a"], "val_filenames": [], "test_filenames": []},
    {"colmap_im_id": 3, "depth_file_path": "depth/0.png", "mask_path": None},
  ),
  "instant-ngp": (
    FLAT
    | {"k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0, "is_fisheye": False}
    | {"camera_angle_x": ANGLE, "camera_angle_y": ANGLE, "aabb_scale": 16}
    | {"scale": 0.33, "offset": [0.5] * 3, "up": [0, 0, 1], "n_frames": N}
    | {"enable_depth_loading": True, "integer_depth_scale": 0.001}
    | {"white_transparent": True, "black_transparent": False, "sharpen": 0}
    | {"fix_premult": True, "importance_sampling": True, "envmap": "a.exr"}
    | {"rolling_shutter": [0, 0, 0, 0], "sharpness_discard_threshold": 0.1},
    {"sharpness": 31.0, "depth_path": "depth/0.png", "driver_parameters": {}},
  ),
  "Blender": ({"camera_angle_x": ANGLE}, {"rotation": 0.0126, "time": 0.5}),
  "Record3D": (FLAT | {"aabb_scale": 16, "scale": 0.5}, {}),
  "Polycam": (
    FLAT | {"camera_model": "OPENCV", "applied_transform": [[1, 0, 0, 0]]},
    {"depth_file_path": "depth/0.png", "blur_score": 3.2} | FLAT | COLMAP_KEYS,
  ),
  "Kiri": (
    {"camera_model": "OPENCV", "camera_angle_x": ANGLE, "aabb_scale": 4},
    FLAT | COLMAP_KEYS | {"k5": 0.0, "k6": 0.0, "sharpness": 2.0},
  ),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_other_keys_of_known_programs_do_no_harm(tmp_path, program):
  head, frame = PROGRAMS[program]
  images = pictures()
  write_transforms(tmp_path, head, NAMES, images, POSES, **frame)
  assert_is_scene(read_posed_images(tmp_path), NAMES, images)


def test_a_folder_of_masks_that_no_frame_names(tmp_path):
  write_transforms(tmp_path, FLAT, NAMES, pictures(), POSES)
  (tmp_path / "masks").mkdir()
  with pytest.raises(UserError, match='folder "masks", but transforms.json na'):
    read_posed_images(tmp_path)


# ------------------------------------------------------------- pictures


def masked(image_u8, mask):
  return np.where(mask[..., None] > 0, image_u8, 255)


@pytest.mark.parametrize("kind", ["L", "0 and 1", "RGB", "alpha", "1", "large"])
@pytest.mark.parametrize("in_frame", [True, False])
@pytest.mark.parametrize("key", ["mask_path", "mask_file_path"])
def test_a_mask_cuts_the_object_out(tmp_path, kind, in_frame, key):
  images = pictures()
  mask = np.zeros((SIDE, SIDE), np.uint8)
  mask[3:11, 5:14] = 255
  forms = {
    "L": Image.fromarray(mask),
    "0 and 1": Image.fromarray(mask // 255),
    "RGB": Image.fromarray(np.dstack([mask // 2, mask * 0, mask * 0])),
    "alpha": Image.fromarray(np.dstack([mask + np.uint8(1)] * 3 + [mask])),
    "1": Image.fromarray(mask).convert("1"),
    "large": Image.fromarray(np.kron(mask, np.ones((3, 3), np.uint8))),
  }
  (tmp_path / "masks").mkdir()
  forms[kind].save(tmp_path / "masks/a.png")
  where = {key: "masks/a"}
  head, frame = (FLAT, where) if in_frame else (FLAT | where, {})
  write_transforms(tmp_path, head, NAMES, images, POSES, **frame)
  assert_is_scene(
    read_posed_images(tmp_path), NAMES, [masked(i, mask) for i in images]
  )


LABELS = np.repeat(np.uint8([[0, 1, 7, 255]]), 4, axis=0)  # 255: undecided
COLORS = np.zeros((4, 4, 3), np.uint8)
COLORS[:, 1], COLORS[:, 2] = (128, 0, 0), (0, 128, 0)


def in_colors(labels, *colors):
  image = Image.fromarray(labels, "P")
  image.putpalette(np.uint8(colors).tobytes())
  return image


@pytest.mark.parametrize(
  "image",
  [
    Image.fromarray(LABELS),
    Image.fromarray(LABELS).convert("RGBA"),
    Image.fromarray(LABELS % 255),
    Image.fromarray(COLORS),
    in_colors(np.minimum(LABELS, 2), (0, 0, 0), (128, 0, 0), (64, 0, 0)),
  ],
)
def test_a_mask_with_several_labels_is_refused(tmp_path, image):
  image.resize((SIDE, SIDE), 0).save(tmp_path / "m.png")
  mask = {"mask_path": "m.png"}
  write_transforms(tmp_path, FLAT, NAMES, pictures(), POSES, **mask)
  with pytest.raises(UserError, match="m.png shows labels of several"):
    read_posed_images(tmp_path)


def test_a_soft_mask_in_colour_is_no_label(tmp_path):
  """Nor are the wrong hues that JPEG makes along its edge."""
  y, x = np.indices((96, 96)) - 47.5
  soft = np.clip(30 - np.hypot(x, y), 0, 1)[..., None]
  red = Image.fromarray(np.uint8(255 * soft * [1, 0, 0]))
  images = np.zeros((1, 96, 96, 3), np.uint8)
  for name in ("m.png", "m.jpg"):
    red.save(tmp_path / name)
    head = {"camera_angle_x": ANGLE, "mask_path": name}
    write_transforms(tmp_path, head, ["0"], images, POSES[:1])
    found = read_posed_images(tmp_path).images_u8[0] / 255
    assert np.abs(1 - found - soft).mean() < 0.06


def test_a_soft_mask_and_alpha_multiply(tmp_path):
  images = np.zeros((1, SIDE, SIDE, 4), np.uint8)
  images[..., 3] = 51  # a fifth
  mask = np.full((SIDE, SIDE), 102, np.uint8)  # two fifths
  mask[0, 0] = 255
  Image.fromarray(mask).save(tmp_path / "m.png")
  write_transforms(tmp_path, FLAT, ["0"], images, POSES[:1], mask_path="m.png")
  found = read_posed_images(tmp_path).images_u8[0]
  assert abs(int(found[5, 5, 0]) - 255 * (1 - 0.2 * 0.4)) < 1


def test_alpha_is_laid_over_white_before_resampling(tmp_path):
  images = pictures(2 * SIDE, 2 * SIDE, 4)
  K2 = camera_paths.default_K(2 * SIDE)
  write_pose_folder(tmp_path, NAMES, images, POSES, matrix_text(K2))
  alpha = images[..., 3:] / 255.0
  over_white = images[..., :3] * alpha + 255 * (1 - alpha)
  posed = read_posed_images(tmp_path)
  np.testing.assert_allclose(posed.images_u8, over_white, atol=0.51)
  small = over_white.reshape(N, SIDE, 2, SIDE, 2, 3).mean((2, 4))
  posed = read_posed_images(tmp_path, size=SIDE)
  np.testing.assert_allclose(posed.images_u8, small, atol=0.51)
  np.testing.assert_allclose(posed.K, np.tile(K, (N, 1, 1)), rtol=1e-6)


def test_a_wide_picture_gets_white_margins_and_K_follows(tmp_path):
  # A black picture of 32 x 48: of 16 x 16, the middle 2/3 are black.
  images = np.zeros((N, 32, 48, 3), np.uint8)
  wide_K = np.array([[40.0, 0, 23.0], [0, 40, 17.0], [0, 0, 1]])
  write_pose_folder(tmp_path, NAMES, images, POSES, matrix_text(wide_K))
  posed = read_posed_images(tmp_path, size=12)
  assert posed.images_u8.shape == (N, 12, 12, 3)
  assert (posed.images_u8[:, 2:10] == 0).all()
  assert (posed.images_u8[:, [0, 1, 10, 11]] == 255).all()
  want = [[10, 0, 23 / 4], [0, 10, (17 + 8) / 4], [0, 0, 1]]
  np.testing.assert_allclose(posed.K[0], want, rtol=1e-6)
  assert read_posed_images(tmp_path).images_u8.shape == (N, 32, 48, 3)


def test_grey_pictures(tmp_path):
  grey = pictures(channels=1)[..., 0]
  write_pose_folder(tmp_path, NAMES, grey, POSES, matrix_text(K))
  images = np.repeat(grey[..., None], 3, -1)
  assert_is_scene(read_posed_images(tmp_path), NAMES, images)


def test_only_the_wanted_views_are_decoded(tmp_path):
  images = pictures()
  write_pose_folder(tmp_path, NAMES, images, POSES, matrix_text(K))
  for i in set(range(N)) - {0, 4, 7, 11}:
    (tmp_path / f"rgb/r_{i}.png").write_bytes(b"broken")
  posed = read_posed_images(tmp_path, num_views=4)
  np.testing.assert_array_equal(posed.images_u8, images[[0, 4, 7, 11]])


@pytest.mark.parametrize(
  "text, said",
  [
    (matrix_text(camera_paths.default_K(800)), "800 x 800"),  # size not said
    (srn_intrinsics(camera_paths.default_K(128), (128, 128)), "128 x 128"),
    (matrix_text(camera_paths.default_K(8)), "8 x 8"),
  ],
)
def test_intrinsics_of_another_size_are_noticed(tmp_path, capsys, text, said):
  write_pose_folder(tmp_path, NAMES, pictures(), POSES, text)
  posed = read_posed_images(tmp_path)
  np.testing.assert_allclose(posed.K, np.tile(K, (N, 1, 1)), rtol=1e-6)
  said_lines = capsys.readouterr().err.splitlines()
  (warning,) = [line for line in said_lines if line.startswith("warning: ")]
  assert f"pictures of {said} pixels, but the pictures have 16 x 16" in warning


def test_a_principal_point_a_little_off_is_no_other_size(tmp_path):
  shifted = K + [[0, 0, 0.7], [0, 0, 0.7], [0, 0, 0]]
  write_pose_folder(tmp_path, NAMES, pictures(), POSES, matrix_text(shifted))
  assert_is_scene(read_posed_images(tmp_path), NAMES, pictures(), shifted)


# ---------------------------------------------------------------- faults


@pytest.fixture
def folder(tmp_path):
  text = srn_intrinsics(K, (SIDE, SIDE))
  return write_pose_folder(tmp_path / "s", NAMES, pictures(), POSES, text)


MIRROR = " ".join(map(str, np.diag([1.0, 1, -1, 1]).ravel()))


def png(image: np.ndarray) -> bytes:
  return encoded(".png", image)


def encoded(suffix: str, image: np.ndarray) -> bytes:
  return cv2.imencode(suffix, image)[1].tobytes()


DEEP = np.full((SIDE, SIDE, 3), 1000, np.uint16)
LARGE = np.full((64, 64, 3), 1000, np.uint16)  # OpenCV's least for .jp2


@pytest.mark.parametrize(
  "file, data, message",
  [
    ("rgb/r_3.png", None, "r_3 has a file in pose/ but none in rgb/.*11 pic"),
    ("pose/r_3.txt", None, "r_3 has a file in rgb/ but none in pose/"),
    ("pose", None, "none in pose/ .*12 pictures, 0 poses"),
    ("rgb", None, r"Looked for transforms.json .* rgb/ .*holds .*pose"),
    ("intrinsics.txt", None, "intrinsics.txt is missing"),
    ("rgb/r_3.jpg", b"", "holds r_3.jpg and r_3.png"),
    (".", None, "no folder"),
    ("rgb/r_3.png", b"\x89PNG\r\n\x1a\n", "rgb/r_3.png does not decode"),
    ("rgb/r_3.png", png(pictures()[0])[:-40], "r_3.png does not decode"),
    ("rgb/r_3.png", png(DEEP[..., 0]), "r_3.png is not an 8-bit picture"),
    # Pillow would drop half of the bits silently.
    ("rgb/r_3.png", png(DEEP), "r_3.png is not an 8-bit picture"),
    ("rgb/r_3.png", encoded(".tiff", DEEP), r"8-bit picture \(16 bits"),
    ("rgb/r_3.png", encoded(".ppm", DEEP), r"8-bit picture \(16 bits"),
    ("rgb/r_3.png", encoded(".jp2", LARGE), r"8-bit picture \(16 bits"),
    ("rgb/r_3.png", "a folder", r"r_3.png cannot be read \(Is a directory"),
    ("pose/r_3.txt", "a folder", r"r_3.txt cannot be read \(Is a directory"),
    ("rgb/r_3.png", "a dangling link", "r_3.png cannot be read .No such file"),
    ("pose/r_3.txt", "nan " * 16, "pose/r_3.txt .* not finite"),
    ("pose/r_3.txt", "1 2 3", "pose/r_3.txt holds 3 numbers"),
    ("pose/r_3.txt", MIRROR, "pose/r_3.txt is not a rigid transform"),
    ("intrinsics.txt", "1 2 3 4 5 6 7 8 9", "no intrinsic matrix"),
    ("intrinsics.txt", "16 64 8 0.\n1 1 1\n", "point .64, 8. lies outside"),
    ("intrinsics.txt", "1.0 8 8 0.\n", "focal length of 1 pixels"),
    ("intrinsics.txt", "20 8 8 0.\n32 16\n", "not the same picture in two"),
    ("intrinsics.txt", "a b", "not a text file of numbers"),
  ],
)
def test_a_bad_file_is_named(folder, file, data, message):
  path = folder / file
  if data is None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
  elif data == "a folder":
    path.unlink()
    path.mkdir()
  elif data == "a dangling link":
    path.unlink()
    path.symlink_to("nowhere")
  else:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
  with pytest.raises(UserError, match=message):
    read_posed_images(folder)


def test_pictures_of_several_sizes_need_a_size(tmp_path, folder):
  images = [*pictures()[:-1], pictures(2 * SIDE, 2 * SIDE)[0]]
  write_transforms(tmp_path, {"camera_angle_x": ANGLE}, NAMES, images, POSES)
  with pytest.raises(UserError, match=r"r_11.png has 32 x 32 .* name a size"):
    read_posed_images(tmp_path)
  posed = read_posed_images(tmp_path, size=8)
  K8 = np.tile(camera_paths.default_K(8), (N, 1, 1))
  np.testing.assert_allclose(posed.K, K8, rtol=1e-6)
  with pytest.raises(UserError, match="16 x 16 .* size of at most 16"):
    read_posed_images(folder, size=32)  # nothing is enlarged


@pytest.mark.parametrize(
  "change, message",
  [
    ({"file_path": "../secret.png"}, "leads out of"),
    ({"file_path": "sub/../../secret"}, "leads out of"),
    ({"file_path": "SECRET"}, "leads out of"),
    ({"file_path": "link"}, "leads out of"),
    ({"file_path": "up/secret.png"}, "leads out of"),
    ({"file_path": "a\0b"}, "is no possible file name"),
    ({"file_path": "nothing"}, "nothing is missing"),
    ({"file_path": "a" * 256}, "is no possible file name"),
    ({"file_path": "a/" * 2000}, "is no possible file name"),
    ({"file_path": "/".join("abcdef") * 60}, "is missing"),
    ({"file_path": "\ud800"}, "is no possible file name"),
    ({"file_path": "sub/../r_0/../../secret"}, "leads out of"),
    ({"file_path": 3}, '"file_path" is not the name'),
    ({"mask_path": "../secret.png"}, '"mask_path" .* leads out of'),
    ({"mask_path": "nothing"}, "nothing is missing"),
    ({"mask_path": 3}, '"mask_path" is not the name'),
    ({"mask_path": "black"}, "black everywhere"),
    ({"mask_path": "wide"}, "proportions differ"),
    ({"mask": "wide"}, '"mask" is not read: name .* in "mask_path"'),
    ({"fg_mask_path": "wide"}, '"fg_mask_path" is not read'),
    ({"alpha_path": "wide"}, '"alpha_path" is not read'),
    ({"mask_path": None, "masks": ["wide"]}, '"masks" is not read'),
    ({"file_path": "turned.tif"}, "turned.tif has orientation 3"),
    ({"mask_path": "turned.tif"}, "turned.tif has orientation 3"),
    ({"transform_matrix": [[1, 2], [3]]}, "no 4x4 matrix"),
    ({"transform_matrix": np.diag([1, 1, 2, 1]).tolist()}, "not a rigid"),
    ({"transform_matrix": [[float("nan")] * 4] * 4}, "not finite"),
    ({"transform_matrix": [[10**400] * 4] * 4}, "no 4x4 matrix"),
  ],
)
def test_a_bad_frame_is_named(tmp_path, change, message):
  write_pictures(tmp_path, ["secret"], pictures()[:1])
  scene = write_transforms(tmp_path / "s", FLAT, NAMES, pictures(), POSES)
  (scene / "link.png").symlink_to(tmp_path / "secret.png")
  (scene / "up").symlink_to(tmp_path)
  Image.new("L", (SIDE, SIDE)).save(scene / "black.png")
  Image.new("L", (2 * SIDE, SIDE), 255).save(scene / "wide.png")
  image = Image.new("L", (SIDE, SIDE), 255)
  image.save(scene / "turned.tif", tiffinfo={0x0112: 3})
  content = json.loads((scene / "transforms.json").read_text())
  if change.get("file_path") == "SECRET":
    change = {"file_path": str(tmp_path / "secret.png")}
  content["frames"][0] |= change
  (scene / "transforms.json").write_text(json.dumps(content))
  with pytest.raises(UserError, match=message):
    read_posed_images(scene)


@pytest.mark.parametrize(
  "text, message",
  [
    ("{", "not valid JSON"),
    ("[" * 100_000, "not valid JSON"),
    ("[]", 'no list "frames"'),
    ('{"frames": []}', 'no list "frames"'),
    ('{"frames": [3]}', "frame 0 is no JSON object"),
  ],
)
def test_bad_json(tmp_path, text, message):
  (tmp_path / "transforms.json").write_text(text)
  with pytest.raises(UserError, match=message):
    read_posed_images(tmp_path)
