# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Decodes picture files, and resizes pictures together with their cameras' K.

  image = open_posed(path)                            # PIL, decoded, 8 bits
  rgb = over_white(image)                             # float32 sRGB, 0 to 255
  image_u8, K = fit(rgb, K, size=64)                  # K: intrinsics

Transparent pictures are composited over white in floating point, before they
are resized. Compositing them in 8 bits, or after resizing, would make the
colours along every object's edge wrong by a few grey levels.
"""

from collections.abc import Iterable
import functools
import io

import cv2
from etils import epath
from jaxtyping import Float, Float32, UInt8
import numpy as np
from PIL import ExifTags, Image, ImageCms

from threedim_jax.runtime.disk import cannot_read, read_input
from threedim_jax.runtime.errors import UserError
from threedim_jax.views.pixels import srgb_from_linear

# Suffixes that a file name in a transforms.json may leave out. Files in rgb/ of
# other suffixes are no pictures.
PICTURE_SUFFIXES = (
  *(".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"),
  *(".bmp", ".gif", ".avif", ".jp2", ".heic"),
)
MAX_PIXELS = 50_000_000
# Pillow reads more formats. EPS is left out because Pillow starts another
# program for it, the others because cameras and renderers do not write them.
_FORMATS = (
  *("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO"),
  *("PNG", "PPM", "TIFF", "WEBP"),
)
_MODES_8_BIT = (
  *("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"),
)
_DEPTH = 24  # offset of the byte that gives a PNG file's bits per channel
# Start of the code stream in a JPEG 2000 file, and the offset from there of the
# byte that gives the bits of the first channel (ISO 15444-1, A.5.1).
_CODESTREAM, _DEPTH_2000 = b"\xff\x4f\xff\x51", 42
# EXIF's ColorSpace of a picture that is not in sRGB. Adobe RGB (1998) has this
# gamma, and the white point, red and blue of sRGB. The matrix follows from the
# chromaticities in both standards.
_UNCALIBRATED = 65535
_ADOBE_GAMMA = 2.19921875
_LINEAR_SRGB_FROM_ADOBE = np.float32(
  [[1.39836, -0.39836, 0.0], [0.0, 1.0, 0.0], [0.0, -0.04293, 1.04293]]
)
# Masks: label numbers are smaller than _LABELS. A colour has another hue if a
# channel differs by more than _OTHER_HUE levels.
_LABELS, _OTHER_HUE = 32, 32
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
# Unsupported formats that errors name: (byte offset, signature, name).
_OTHER_FILES = (
  (4, b"ftypavif", "an AVIF picture"),
  (4, b"ftypcrx", "a raw photo of a Canon camera"),
  (4, b"ftyp", "a video"),
  (0, b"\xff\x0a", "a JPEG XL picture"),
  (4, b"JXL ", "a JPEG XL picture"),
  (0, b"%PDF", "a PDF document"),
  (0, b"%!PS", "a PostScript document"),
  (0, b"8BPS", "a Photoshop document"),
  (0, b"\0\0\1\0", "an icon"),
  (0, b"v/1\1", "an OpenEXR picture"),
  (0, b"#?RADIANCE", "a Radiance HDR picture"),
  (0, b"<svg", "an SVG drawing"),
  (0, b"<?xml", "an SVG drawing or another XML file"),
)


def open_picture(data: bytes, source: str) -> Image.Image:
  """Decodes the bytes of a picture file.

  Args:
    source: what error messages call the picture.

  Returns:
    The decoded picture, with at most 8 bits per channel.

  Raises:
    UserError: the data is not a picture, is damaged, has an unsupported format,
      or has more than 8 bits per channel or more than 50 million pixels.
  """
  try:
    image = _open(io.BytesIO(data))
    width, height = image.size
    depth = _bits_per_channel(image, data)
  except Exception as e:  # decoders raise many types for broken bytes
    raise UserError(_why_not_opened(e, data, source)) from e
  if width * height > MAX_PIXELS:
    raise UserError(_too_large(source, f"{width} x {height}"))
  try:
    image.load()
  except Exception as e:
    raise UserError(f"{source} does not decode ({e}).") from e
  if depth > 8 or image.mode not in _MODES_8_BIT:
    kind = f"{depth} bits a channel" if depth > 8 else f"mode {image.mode}"
    raise UserError(
      f"{source} is not an 8-bit picture ({kind}): save it with 8 bits."
    )
  return image


def _bits_per_channel(image: Image.Image, data: bytes) -> int:
  """Returns the bits per channel in a file; 8 if the format allows no more.

  Pillow would silently drop the lower bits of 16-bit RGB. HEIC and AVIF files
  count as 8 bits, because phones write 10 bits, which are rounded.

  Args:
    image: picture that was opened but not decoded.
    data: the file.
  """
  if image.format == "PNG":
    return data[_DEPTH]
  if image.format == "TIFF":
    return max(image.tag_v2.get(ExifTags.Base.BitsPerSample, (8,)))
  if image.format == "PPM":
    (tile,) = image.tile
    args = tile.args if isinstance(tile.args, tuple) else ()
    return max((x.bit_length() for x in args if isinstance(x, int)), default=8)
  if image.format == "JPEG2000":
    depth = data.index(_CODESTREAM) + _DEPTH_2000
    return 1 + (data[depth] & 0x7F)
  return 8


def open_posed(path: epath.Path) -> Image.Image:
  """Decodes a picture (or a mask) whose camera is known.

  The camera belongs to the stored pixels, so an EXIF orientation is ignored.
  Pillow cannot ignore that of a TIFF file.

  Raises:
    UserError: `open_picture` rejects the picture, or it is a TIFF file with an
      orientation.
  """
  data = read_input(path)
  image = open_picture(data, str(path))
  if image.format == "TIFF":
    # Decoding has turned the picture and removed the tag.
    tag = _open(io.BytesIO(data)).tag_v2.get(ExifTags.Base.Orientation)
    if tag in range(2, 9):
      raise UserError(
        f"{path} has orientation {tag}, and its camera may be for the turned or"
        " the stored picture: save it without this tag, as its camera sees it."
      )
  return image


def read_hw(path: epath.Path) -> tuple[int, int]:
  """Reads a picture's height and width in pixels, without decoding the pixels.

  Raises:
    UserError: the file is not a picture, or has far more than 50 million
      pixels.
  """
  try:
    with path.open("rb") as file:
      try:
        with _open(file) as image:
          return image.height, image.width
      except Exception as e:
        file.seek(0)
        raise UserError(_why_not_opened(e, file.read(64), str(path))) from e
  except OSError as e:
    raise cannot_read(path, e) from e


def _too_large(source: str, size: str) -> str:
  return (
    f"{source} has {size} pixels; at most {MAX_PIXELS / 1e6:.0f} million are"
    " read: save it smaller."
  )


def _open(file: io.IOBase) -> Image.Image:
  """Opens a picture and reads only its header.

  The plug-in for HEIF pictures is loaded only if the picture is in HEIF format.
  """
  if _is_heif(file.read(16)):
    _can_read_heif()
  file.seek(0)
  return open_as(file, _FORMATS)


def open_as(file: io.IOBase, formats: Iterable[str]) -> Image.Image:
  """Opens a picture that has one of the formats, and reads only its header.

  `formats` are Pillow's names of formats. Those that this Pillow cannot read
  are skipped.
  """
  Image.init()
  readable = [name for name in formats if name in Image.OPEN]
  return Image.open(file, formats=readable)


def _is_heif(data: bytes) -> bool:
  return data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS


@functools.cache
def _can_read_heif() -> bool:
  """Registers the optional plug-in for HEIF pictures, such as iPhone photos.

  Returns:
    Whether the plug-in is installed.
  """
  try:
    import pillow_heif
  except ImportError:
    return False
  pillow_heif.register_heif_opener()
  return True


def _why_not_opened(error: Exception, data: bytes, source: str) -> str:
  if isinstance(error, Image.DecompressionBombError):
    return _too_large(source, "too many")
  if _is_heif(data):
    if _can_read_heif():
      return f"{source} does not decode: it is a damaged HEIC picture."
    return (
      f"{source} is a HEIC picture. Install what reads it (pip install"
      " pillow-heif), or save it as JPEG or PNG."
    )
  start = data[:64].lstrip()
  for offset, mark, kind in _OTHER_FILES:
    if start[offset:].startswith(mark):
      return f"{source} is {kind}, which is not read: save it as PNG or JPEG."
  return f"{source} does not decode: it is not a picture."


def to_srgb(image: Image.Image) -> Image.Image:
  """Converts a picture to sRGB, with mode RGB (RGBA if parts are transparent).

  An embedded ICC colour profile is applied (Display P3, Adobe RGB, CMYK, grey).
  As in browsers, a profile is ignored if it is damaged or does not suit the
  picture's channels, such as a CMYK profile in an RGB picture. Without a
  profile, EXIF may state Adobe RGB, as some cameras do.
  """
  is_adobe_rgb = _is_adobe_rgb(image)
  alpha = None
  if image.has_transparency_data:
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    image = image.convert("L") if image.mode == "LA" else rgba.convert("RGB")
  profile = image.info.get("icc_profile")
  rgb = _apply_profile(image, profile) if profile else image.convert("RGB")
  if is_adobe_rgb and not profile:
    rgb = Image.fromarray(_srgb_from_adobe_rgb(np.asarray(rgb)))
  if alpha is not None:
    rgb.putalpha(alpha)
  return rgb


def _is_adobe_rgb(image: Image.Image) -> bool:
  """Returns whether EXIF states Adobe RGB, as DCF 2.0 has cameras write it."""
  try:
    exif = image.getexif()
    space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
    index = exif.get_ifd(ExifTags.IFD.Interop).get(
      ExifTags.Interop.InteropIndex
    )
  except Exception:  # Pillow raises many types for broken EXIF
    return False
  return space == _UNCALIBRATED and str(index).startswith("R03")


def _srgb_from_adobe_rgb(
  levels_u8: UInt8[np.ndarray, "H W 3"],
) -> UInt8[np.ndarray, "H W 3"]:
  """Converts Adobe RGB (1998) to sRGB, clipped to the gamut of sRGB."""
  light = (np.arange(256, dtype=np.float32) / 255) ** _ADOBE_GAMMA
  srgb_u8 = np.empty_like(levels_u8)
  for row, levels in enumerate(levels_u8):  # saves memory in large pictures
    linear = (light[levels] @ _LINEAR_SRGB_FROM_ADOBE.T).clip(0, 1)
    srgb_u8[row] = 255 * srgb_from_linear(linear) + 0.5
  return srgb_u8


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
  rgb = image.convert("RGB")
  for pixels in (image, rgb):
    try:
      return ImageCms.profileToProfile(
        pixels,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
      )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
      continue
  return rgb


def over_white(image: Image.Image) -> Float32[np.ndarray, "H W 3"]:
  """Composites an 8-bit picture over white; returns sRGB levels (0 to 255)."""
  image = to_srgb(image)
  if image.mode == "RGB":
    return np.asarray(image, np.float32)
  rgba = np.asarray(image, np.float32)
  return blend_over_white(rgba[..., :3], rgba[..., 3:] / 255)


def blend_over_white(
  rgb: Float32[np.ndarray, "H W 3"], alpha: Float32[np.ndarray, "H W 1"]
) -> Float32[np.ndarray, "H W 3"]:
  return rgb * alpha + 255 * (1 - alpha)


def read_mask(
  path: epath.Path, hw: tuple[int, int]
) -> Float32[np.ndarray, "H W 1"]:
  """Reads a mask: how much of each pixel the object covers, from 0 to 1.

  Black in the mask file becomes 0, and the brightest grey level in the file
  becomes 1. If the file has transparent pixels, its alpha channel is used
  instead of its grey levels.

  Args:
    hw: height and width of the view's picture, in pixels. A mask of another
      size is scaled to this size.

  Raises:
    UserError: the mask is not a picture, is all black, shows more than one
      label, or has another aspect ratio than the view's picture.
  """
  image = open_posed(path)
  alpha = np.asarray(image.convert("RGBA").getchannel("A"), np.float32)
  levels = np.asarray(image.convert("L"), np.float32)
  if alpha.min() < 255:
    levels = alpha
  elif _has_labels(image):
    raise UserError(
      f"{path} shows labels of several objects or parts: save a mask that is"
      " white where the object is, and black elsewhere."
    )
  if not levels.any():
    raise UserError(
      f"{path} is black everywhere: a mask is white where the object is."
    )
  if levels.shape != hw:
    ratio = np.divide(hw, levels.shape)
    if abs(ratio[0] / ratio[1] - 1) > 0.02:
      raise UserError(
        f"{path} has {levels.shape[0]} x {levels.shape[1]} pixels, its picture"
        f" has {hw[0]} x {hw[1]}: the proportions differ."
      )
    way = cv2.INTER_AREA if ratio[0] < 1 else cv2.INTER_LINEAR
    levels = cv2.resize(levels, hw[::-1], interpolation=way)
  return levels[..., None] / levels.max()


def _has_labels(mask: Image.Image) -> bool:
  """Returns whether an opaque mask tells more than one object from black.

  Labels are more than two colours of a palette, more than two of the levels 0
  to 31 and 255, or colours of different hues. A mask with more than 256 colours
  has no labels.
  """
  counts = mask.convert("RGB").getcolors(256)
  if counts is None or len(counts) <= 2:
    return False
  colors = np.array([color for _, color in counts], np.float32)
  if mask.mode == "P" and np.ptp(colors, axis=-1).any():
    return True
  brightest = colors[np.argmax(colors.sum(-1))]
  share = colors @ brightest / (brightest @ brightest)
  has_hues = np.abs(colors - np.outer(share, brightest)).max() > _OTHER_HUE
  return bool(has_hues or colors[colors < 255].max() < _LABELS)


def fit(
  rgb: Float32[np.ndarray, "H W 3"],
  K: Float[np.ndarray, "3 3"],
  size: int | None,
) -> tuple[UInt8[np.ndarray, "H2 W2 3"], Float[np.ndarray, "3 3"]]:
  """Resizes a picture to `size` x `size` pixels, and adapts its intrinsics K.

  A picture that is not square first gets white margins, which move the
  principal point. Then pixels are averaged by area and K is scaled. Scaling K
  needs no half-pixel correction, because pixel centres lie at +0.5.

  Args:
    rgb: sRGB levels from 0 to 255.
    K: intrinsics, in pixels of `rgb`.
    size: height and width of the result, in pixels; None keeps the original
      size.

  Returns:
    (resized picture, its K).
  """
  K = K.copy()
  if size is not None:
    h, w = rgb.shape[:2]
    side = max(h, w)
    top, left = (side - h) // 2, (side - w) // 2
    margins = ((top, side - h - top), (left, side - w - left), (0, 0))
    rgb = np.pad(rgb, margins, constant_values=255)
    K[:2] += np.outer([left, top], K[2])
    if side != size:
      rgb = cv2.resize(rgb, (size, size), interpolation=cv2.INTER_AREA)
      K[:2] *= size / side
  return (rgb + 0.5).astype(np.uint8), K
