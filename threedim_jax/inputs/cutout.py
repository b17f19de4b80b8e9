# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Cuts an object out of a photo and puts it on white, as in the training views.

  image_u8 = prepare(open_photo("photo.png"), resolution=32)

If the photo's alpha channel separates the object from its surroundings, the
alpha channel is used. Otherwise the photo must have a plain background. The
background may be lit unevenly, may show shadows of the object, and may be
visible through holes in the object.
"""

import cv2
from jaxtyping import Bool, Float32, UInt8
import numpy as np
from PIL import Image

from threedim_jax.inputs.posed_images.pictures import to_srgb
from threedim_jax.runtime.errors import UserError

# Longer side of an object as a fraction of the picture's side: the median over
# the test views of `shapes` between 10 and 45 degrees of elevation.
FILL = 0.78
_WORKING_SIDE = 640  # pixels; enough for results of 128 pixels
_ASK = (
  "save it with a transparent background (a PNG from any background remover),"
  " or photograph the object whole on a plain one"
)

# Alpha separates an object if it makes more than the first fraction of the
# picture transparent, or more than the second fraction of the border of the
# opaque part's bounding box. A few transparent pixels, a strip at the picture's
# border or round corners stay below these fractions.
_TRANSPARENT, _TRANSPARENT_FRAME = 0.2, 0.15
_SPECK = 0.01  # connected parts below this fraction of the object are dirt
_PLAIN_BORDER = 0.9  # least fraction of background in the picture's border
_MIN_TOLERANCE, _MAX_TOLERANCE = 12.0, 24.0  # grey levels
# A shadow dims all channels alike: the ratio of a channel to the background
# differs from the mean ratio of the channels by at most this fraction.
_HUE = 0.06
_DARKEST_SHADOW = 0.3  # as a fraction of the background's level
# Largest change of this ratio from pixel to pixel at the edge of a soft shadow.
# On a grey wall, shadows and grey objects have the same hue. Only the softer
# edge of a shadow tells them apart.
_STEEPEST_ON_GREY, _STEEPEST_ON_COLOUR = 0.045, 0.12
# A hard shadow has one ratio to the background, within _FLAT. The shadow must
# cover at least _LEAST_HARD of the pixels that may be the object. At least
# _OTHER_HUES of these pixels must have other hues than the wall, and at most
# _GREY_PARTS may have the wall's hue at another ratio.
_FLAT, _LEAST_HARD = 0.06, 0.03
_LIGHTEST_HARD = 0.85  # as a fraction of the background's level
_OTHER_HUES, _GREY_PARTS = 0.5, 0.05
_BESIDE = 0.1  # least fraction of background around a shadow
_COLOURFUL = 0.1  # a wall is colourful if (max - min) / max of RGB is larger
# An object is a framed photo if it fills more than the first fraction of its
# bounding box, and each margin around the box is at most the second fraction of
# the picture's side. The first _FRAME_EDGE pixels of the photo blend with its
# frame.
_RECTANGULAR, _MARGIN, _FRAME_EDGE = 0.97, 0.1, 2
# Chequers that stand for transparency cover half of each side of a picture.
_CHEQUERS = 0.2
# Holes smaller than this fraction of the object's bounding box stay filled.
_HOLE = 0.002
# If less than this fraction of the object is left, no shadow is removed.
_LEAST_LEFT = 0.25


def prepare(
  image: Image.Image, resolution: int, *, fill: float = FILL
) -> UInt8[np.ndarray, "R R 3"]:
  """Makes a square picture of a photo's object, centred on white.

  Args:
    image: photo with an alpha channel or a plain background.
    resolution: height and width of the result, in pixels.
    fill: length of the object's longer side, as a fraction of `resolution`.

  Raises:
    UserError: the photo shows no object, or the object cannot be told from its
      background.
  """
  rgb, alpha = cut_out(image)
  over_white = rgb * alpha + 255 * (1 - alpha)
  square = _square_around(over_white, alpha[..., 0] >= 0.5, fill)
  shrinks = square.shape[0] > resolution
  out = cv2.resize(
    square,
    (resolution, resolution),
    interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
  )
  return (out.clip(0, 255) + 0.5).astype(np.uint8)


def cut_out(
  image: Image.Image,
) -> tuple[Float32[np.ndarray, "H W 3"], Float32[np.ndarray, "H W 1"]]:
  """Separates the object in a photo from its background.

  Returns:
    (sRGB levels of the photo, from 0 to 255; alpha of the object, from 0 to 1).
    Both are shrunk to at most 640 pixels per side. Alpha is 0 outside the
    object.

  Raises:
    UserError: the photo shows no object, or the object cannot be told from its
      background.
  """
  rgba = to_srgb(image).convert("RGBA")
  rgba.thumbnail((_WORKING_SIDE, _WORKING_SIDE), Image.Resampling.BOX)
  pixels = np.asarray(rgba, np.float32)
  rgb, alpha = pixels[..., :3], pixels[..., 3:] / 255
  opaque = alpha[..., 0] >= 0.5
  if not opaque.any():
    raise UserError(f"The picture shows no object: {_ASK}.")
  if _separates_object(opaque):
    mask = _without_specks(opaque)
  else:
    mask = _object_in_frame(rgb, opaque)
    alpha = mask[..., None].astype(np.float32)
  if not mask.any():
    raise UserError(f"The picture shows no object: {_ASK}.")
  # This removes specks, but keeps the soft edges of the object itself.
  near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
  return rgb, alpha * near[..., None]


def _separates_object(opaque: Bool[np.ndarray, "H W"]) -> bool:
  """Returns whether a photo's alpha channel cuts out an object.

  The result is False if only a few pixels, or only a strip at the picture's
  border, are transparent.

  Args:
    opaque: mask of the pixels whose alpha is at least one half.
  """
  ys, xs = np.nonzero(_without_specks(opaque))
  if opaque.all() or not len(ys):
    return False
  if 1 - _border(opaque).mean() > 0.5 and 1 - opaque.mean() > _TRANSPARENT:
    return True
  inside = opaque[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
  return bool(1 - _border(inside).mean() > _TRANSPARENT_FRAME)


def _border(array: np.ndarray) -> np.ndarray:
  return np.concatenate([array[0], array[-1], array[:, 0], array[:, -1]])


# ------------------------------------------------------- plain backgrounds


def _object_in_frame(
  rgb: Float32[np.ndarray, "H W 3"], opaque: Bool[np.ndarray, "H W"]
) -> Bool[np.ndarray, "H W"]:
  """Returns a mask of the object before a plain background, without specks.

  A thin frame around the photo, such as a white mat or a black line, looks like
  a plain background, and the photo in it looks like a rectangular object. So
  the inside of such an object is searched for an object, too. If there is none,
  the rectangle itself is the object.

  Args:
    rgb: sRGB levels from 0 to 255.
    opaque: mask of the pixels whose alpha is at least one half.

  Raises:
    UserError: the background is not plain, or that of the framed photo is not.
  """
  mask = _without_specks(_object_before_plain(rgb, opaque))
  inside = _inside_of_frame(mask)
  if inside is None:
    return mask
  try:
    found = _object_in_frame(rgb[inside], opaque[inside])
  except UserError as e:
    raise UserError(
      "The picture seems to be a photo in a frame. The object in it cannot be"
      f" told from its background, which is not plain: {_ASK}."
    ) from e
  if found.sum() <= _SPECK * mask.sum():
    return mask
  in_picture = np.zeros_like(mask)
  in_picture[inside] = found
  return in_picture


def _inside_of_frame(
  mask: Bool[np.ndarray, "H W"],
) -> tuple[slice, slice] | None:
  """Returns the rows and columns of a framed photo; None if there is none.

  Args:
    mask: mask of the object, which may be a framed photo.
  """
  if not mask.any():
    return None
  box = []
  for axis in (0, 1):
    at = np.flatnonzero(mask.any(1 - axis))
    low, high, side = at[0], at[-1] + 1, mask.shape[axis]
    if not 0 < low <= _MARGIN * side or not 0 < side - high <= _MARGIN * side:
      return None
    box.append((low, high))
  if mask[tuple(slice(*ends) for ends in box)].mean() <= _RECTANGULAR:
    return None
  return tuple(
    slice(low + _FRAME_EDGE, high - _FRAME_EDGE) for low, high in box
  )


def _object_before_plain(
  rgb: Float32[np.ndarray, "H W 3"], opaque: Bool[np.ndarray, "H W"]
) -> Bool[np.ndarray, "H W"]:
  """Returns a mask of the object in front of a plain background.

  The background's colours are assumed to vary smoothly over the picture. Pixels
  with these colours count as background if they are connected to the picture's
  border. Shadows on the background, and background that shows through holes in
  the object, are not part of the mask either.

  Args:
    rgb: sRGB levels from 0 to 255.
    opaque: mask of the pixels whose alpha is at least one half.

  Raises:
    UserError: the border of the picture is not plain, or the object covers
      much of all four sides.
  """
  background, tolerance = _fit_background(rgb, opaque)
  smooth = _smooth(rgb, tolerance)
  alike = (np.abs(smooth - background).max(-1) < tolerance) | ~opaque
  removed = _joined_to_border(alike)
  removed |= _holes(alike, removed)
  dimmed, slope = _dimmed_and_slope(smooth, background)
  shadow = _reached((dimmed & (slope < 1)) | alike, removed) & ~removed
  shadow = _without_parts_of_the_object(shadow, removed, slope)
  hard = _hard_shadow(smooth, background, dimmed & (slope < 1), removed)
  shadow |= hard
  rim = np.ones((15, 15) if hard.any() else (7, 7))
  without_rim = cv2.morphologyEx(
    (removed | shadow).astype(np.uint8), cv2.MORPH_CLOSE, rim
  )
  shadow |= dimmed & (without_rim > 0)
  kept, kept_with_shadow = ~(removed | shadow), ~removed
  sides = (kept[0], kept[-1], kept[:, 0], kept[:, -1])
  if min(side.mean() for side in sides) > _CHEQUERS:
    raise UserError(
      "The object cannot be told from its background. If the background shows"
      " grey and white chequers, these are part of the picture, and it is not"
      f" transparent: {_ASK}."
    )
  if kept.sum() < _LEAST_LEFT * kept_with_shadow.sum():
    return kept_with_shadow
  return kept


def _fit_background(
  rgb: Float32[np.ndarray, "H W 3"], opaque: Bool[np.ndarray, "H W"]
) -> tuple[Float32[np.ndarray, "H W 3"], float]:
  """Fits the background's colours with a quadratic function of pixel position.

  The first fit uses only the picture's border. Two more fits use all pixels
  that look like the background and are connected to the border.

  Returns:
    (background colours at every pixel, tolerance). A pixel counts as background
    if its levels differ from these colours by less than the tolerance.

  Raises:
    UserError: the border of the picture is not plain.
  """
  h, w = opaque.shape
  y, x = np.meshgrid(
    np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij"
  )
  terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
  terms = terms.astype(np.float32)
  places = np.zeros((h, w), bool)
  places[:2], places[-2:], places[:, :2], places[:, -2:] = (True,) * 4
  places &= opaque
  if not places.any():
    places = opaque
  background = _robust_fit(rgb, terms, places)
  off = np.abs(rgb - background).max(-1)
  smooth = _smooth(rgb, _MAX_TOLERANCE)
  dimmed, slope = _dimmed_and_slope(smooth, background)
  plain = (off < _MAX_TOLERANCE) | (dimmed & (slope < 1))
  if plain[places].mean() < _PLAIN_BORDER:
    raise UserError(
      "The object cannot be told from its background, which is not plain:"
      f" {_ASK}."
    )
  for _ in range(2):
    noise = 1.48 * float(np.median(off[places]))
    tolerance = float(np.clip(4 * noise, _MIN_TOLERANCE, _MAX_TOLERANCE))
    places = _joined_to_border(off < tolerance) & opaque
    background = _robust_fit(rgb, terms, places)
    off = np.abs(rgb - background).max(-1)
  return background, tolerance


def _robust_fit(
  rgb: Float32[np.ndarray, "H W 3"],
  terms: Float32[np.ndarray, "H W T"],
  places: Bool[np.ndarray, "H W"],
) -> Float32[np.ndarray, "H W 3"]:
  """Fits smooth colours to a picture; outliers hardly influence the fit.

  Args:
    rgb: sRGB levels from 0 to 255.
    terms: T smooth functions of pixel position, evaluated at every pixel. The
      fitted colours are a weighted sum of these functions.
    places: mask of the pixels to fit.

  Returns:
    The fitted colours at every pixel of the picture.
  """
  ys, xs = np.nonzero(places)
  step = max(1, len(ys) // 20_000)
  A, colors = terms[ys[::step], xs[::step]], rgb[ys[::step], xs[::step]]
  fit = np.zeros((A.shape[1], 3), np.float32)
  fit[0] = np.median(colors, axis=0)
  for spread in (60.0, 40.0, 25.0, 15.0, 15.0):
    off = np.abs(colors - A @ fit).max(-1)
    weight = np.exp(-0.5 * (off / spread) ** 2)[:, None]
    fit = np.linalg.lstsq(A * weight, colors * weight, rcond=None)[0]
  return (terms @ fit).astype(np.float32)


def _joined_to_border(
  alike: Bool[np.ndarray, "H W"],
) -> Bool[np.ndarray, "H W"]:
  # A frame of background pixels connects all parts that touch the border.
  framed = np.pad(alike, 1, constant_values=True).astype(np.uint8)
  _, labels = cv2.connectedComponents(framed, connectivity=4)
  return (labels == labels[0, 0])[1:-1, 1:-1]


def _holes(
  alike: Bool[np.ndarray, "H W"], outside: Bool[np.ndarray, "H W"]
) -> Bool[np.ndarray, "H W"]:
  """Returns a mask of the areas where background shows through the object.

  Tiny areas are left out.

  Args:
    alike: mask of the pixels that have the background's colours.
    outside: mask of the background that is connected to the picture's border.
  """
  ys, xs = np.nonzero(~outside)
  if not len(ys):
    return outside & False
  box = (np.ptp(ys) + 1) * (np.ptp(xs) + 1)
  count, labels, stats, _ = cv2.connectedComponentsWithStats(
    (alike & ~outside).astype(np.uint8), connectivity=4
  )
  keep = stats[:, cv2.CC_STAT_AREA] > max(16, _HOLE * box)
  keep[0] = False
  return keep[labels]


def _smooth(
  rgb: Float32[np.ndarray, "H W 3"], tolerance: float
) -> Float32[np.ndarray, "H W 3"]:
  """Removes noise of up to `tolerance` grey levels, but keeps sharp edges."""
  return cv2.bilateralFilter(rgb, 5, 2 * tolerance, 2)


def _dimmed_and_slope(
  rgb: Float32[np.ndarray, "H W 3"], background: Float32[np.ndarray, "H W 3"]
) -> tuple[Bool[np.ndarray, "H W"], Float32[np.ndarray, "H W"]]:
  """Finds pixels that may be in a shadow, and measures how sharp edges are.

  A shadow multiplies the background's levels by a ratio below 1. At the edge of
  a soft shadow, this ratio changes slowly from pixel to pixel.

  Returns:
    (dimmed, slope). `dimmed` is True where a pixel has the background's hue, is
    not brighter than the background, and is not too dark for a shadow. `slope`
    says how fast the ratio changes at a pixel: 1 is the fastest change expected
    in a soft shadow, and a larger slope means a sharp edge.
  """
  ratios = (rgb + 8) / (background.clip(0) + 8)
  ratio = ratios.mean(-1)
  same_hue = np.abs(ratios - ratio[..., None]).max(-1) < _HUE * ratio.clip(0.5)
  slope = cv2.magnitude(
    cv2.Scharr(ratio, -1, 1, 0, scale=1 / 32),
    cv2.Scharr(ratio, -1, 0, 1, scale=1 / 32),
  )
  dimmed = same_hue & (ratio > _DARKEST_SHADOW) & (ratio < 1.05)
  low, high = background.min(-1), background.max(-1)
  is_colourful = np.median((high - low) / high.clip(1)) > _COLOURFUL
  steepest = _STEEPEST_ON_COLOUR if is_colourful else _STEEPEST_ON_GREY
  return dimmed, slope / steepest


def _without_parts_of_the_object(
  shadow: Bool[np.ndarray, "H W"],
  background: Bool[np.ndarray, "H W"],
  slope: Float32[np.ndarray, "H W"],
) -> Bool[np.ndarray, "H W"]:
  """Removes from the mask `shadow` the areas that belong to the object.

  A soft shadow fades into the background around it. A part of the object, even
  one with the background's hue, has a sharp edge instead. So an area is removed
  if it meets the background mostly at sharp edges.

  Args:
    shadow: mask of the pixels that may be shadow.
    background: mask of the pixels that are certainly background.
    slope: the slope from `_dimmed_and_slope`; above 1 at a sharp edge.
  """
  count, labels = cv2.connectedComponents(
    shadow.astype(np.uint8), connectivity=4
  )
  near = cv2.dilate(labels.astype(np.float32), np.ones((5, 5), np.uint8))
  near = near.astype(int)
  edge = (slope > 1) & _grown(background, 5) & ~shadow
  at_edge = np.bincount(near[edge], minlength=count)
  fading = np.bincount(near[background], minlength=count)
  fades = at_edge < fading
  fades[0] = False
  return fades[labels]


def _hard_shadow(
  rgb: Float32[np.ndarray, "H W 3"],
  background: Float32[np.ndarray, "H W 3"],
  even: Bool[np.ndarray, "H W"],
  removed: Bool[np.ndarray, "H W"],
) -> Bool[np.ndarray, "H W"]:
  """Returns a mask of hard-edged shadows, or an empty mask if in doubt.

  A hard-edged shadow dims the background by the same ratio everywhere. This
  ratio is measured in the largest dark area that has the background's hue. The
  mask is empty if most of the object has the background's hue, or if many dark
  pixels of this hue have another ratio. In these cases, parts of the object
  could be mistaken for shadow.

  Args:
    rgb: the picture, after `_smooth` has removed its noise.
    background: colours of the background at every pixel.
    even: mask of the pixels that have the background's hue and are not at a
      sharp edge.
    removed: mask of the pixels that are certainly background.
  """
  even, kept = even & ~removed, ~removed
  ratio = ((rgb + 8) / (background.clip(0) + 8)).mean(-1)
  dark = even & (ratio < _LIGHTEST_HARD)
  _, labels, stats, _ = cv2.connectedComponentsWithStats(
    dark.astype(np.uint8), connectivity=4
  )
  area = stats[1:, cv2.CC_STAT_AREA]
  nothing = np.zeros_like(removed)
  if not len(area) or area.max() < _LEAST_HARD * kept.sum():
    return nothing
  level = np.median(ratio[labels == 1 + np.argmax(area)])
  same = dark & (np.abs(ratio - level) < _FLAT)
  has_other_hues = (kept & ~_grown(even, 9)).sum() > _OTHER_HUES * kept.sum()
  has_grey_parts = (dark & ~same).sum() > _GREY_PARTS * kept.sum()
  if not has_other_hues or has_grey_parts:
    return nothing
  count, labels = cv2.connectedComponents(same.astype(np.uint8), connectivity=4)
  near = cv2.dilate(labels.astype(np.float32), np.ones((25, 25), np.uint8))
  beside = np.bincount(near[removed].astype(int), minlength=count)
  around = np.bincount(near[~same].astype(int), minlength=count)
  is_shadow = beside > _BESIDE * around
  is_shadow[0] = False
  return is_shadow[labels]


def _grown(mask: Bool[np.ndarray, "H W"], side: int) -> Bool[np.ndarray, "H W"]:
  square = np.ones((side, side), np.uint8)
  return cv2.dilate(mask.astype(np.uint8), square) > 0


def _reached(
  soft: Bool[np.ndarray, "H W"], start: Bool[np.ndarray, "H W"]
) -> Bool[np.ndarray, "H W"]:
  """Extends the mask `start` by all pixels of `soft` connected to `start`.

  Connections must be at least 3 pixels wide.
  """
  square = np.ones((3, 3), np.uint8)
  passable = (soft | start).astype(np.uint8)
  wide = cv2.erode(passable, square, borderValue=1) | start.astype(np.uint8)
  _, labels = cv2.connectedComponents(wide, connectivity=4)
  of_start = np.unique(labels[start])
  reached = np.isin(labels, of_start[of_start > 0]).astype(np.uint8)
  return (cv2.dilate(reached, square) & passable).astype(bool)


def _without_specks(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
  count, labels, stats, _ = cv2.connectedComponentsWithStats(
    mask.astype(np.uint8), connectivity=8
  )
  area = stats[:, cv2.CC_STAT_AREA]
  keep = area > max(4, _SPECK * mask.sum())
  keep[0] = False  # the background
  return keep[labels] if count > 1 else mask & False


def _square_around(
  rgb: Float32[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"], fill: float
) -> Float32[np.ndarray, "S S 3"]:
  """Crops a square around the centre of the object's bounding box.

  Parts of the square that lie outside the picture become white.

  Args:
    rgb: sRGB levels from 0 to 255.
    mask: mask of the object's pixels.
    fill: length of the object's longer side, as a fraction of the square's
      side.
  """
  ys, xs = np.nonzero(mask)
  low = np.array([ys.min(), xs.min()])
  high = np.array([ys.max(), xs.max()]) + 1
  side = int(np.ceil((high - low).max() / fill))
  start = (low + high - side) // 2
  overhang = np.maximum(-start, start + side - mask.shape)
  margin = max(0, int(overhang.max()))
  padded = np.pad(
    rgb, ((margin, margin), (margin, margin), (0, 0)), constant_values=255
  )
  y, x = start + margin
  return np.ascontiguousarray(padded[y : y + side, x : x + side])
