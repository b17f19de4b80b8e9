# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is done about each extension of glTF 2.0.

The lists hold the ratified extensions of Khronos and the vendors' extensions
of its registry that change how a mesh looks or that many files have. A file
that *requires* an extension of none of the lists is refused by its name. One
that only *uses* it is read: the standard asks for files that are right without.
"""

from threedim_jax.runtime.errors import UserError

# Read, in `gltf.py` or `gltf_materials.py`.
READ = (
  "EXT_mesh_gpu_instancing",
  "EXT_texture_avif",
  "EXT_texture_webp",
  "KHR_materials_emissive_strength",
  "KHR_materials_pbrSpecularGlossiness",
  "KHR_materials_transmission",
  "KHR_materials_unlit",
  "KHR_mesh_quantization",
  "KHR_node_visibility",
  "KHR_texture_transform",
  "MSFT_texture_dds",
)

# Ignored: pictures of still, diffuse surfaces are right without them.
_GLOSS = "how light is reflected or refracted; surfaces are drawn diffuse"
_LIGHTS = "the light of our pictures is always the same"
_LABELS = "labels, sound or behaviour; nothing that is seen"
_FALLBACK = "the material beside it is used, as the extension provides"
IGNORED = {
  "KHR_materials_anisotropy": _GLOSS,
  "KHR_materials_clearcoat": _GLOSS,
  "KHR_materials_diffuse_transmission": _GLOSS,
  "KHR_materials_dispersion": _GLOSS,
  "KHR_materials_ior": _GLOSS,
  "KHR_materials_iridescence": _GLOSS,
  "KHR_materials_sheen": _GLOSS,
  "KHR_materials_specular": _GLOSS,
  "KHR_materials_subsurface": _GLOSS,
  "KHR_materials_volume": _GLOSS,
  "KHR_materials_volume_scatter": _GLOSS,
  "EXT_lights_ies": _LIGHTS,
  "EXT_lights_image_based": _LIGHTS,
  "KHR_lights_punctual": _LIGHTS,
  "KHR_materials_variants": "the default variant is drawn",
  "KHR_animation_pointer": "animations are not played",
  "KHR_accessor_float64": "only animations and labels may use it",
  "MSFT_lod": "the finest level is drawn",
  "MSFT_packing_normalRoughnessMetallic": _GLOSS,
  "MSFT_packing_occlusionRoughnessMetallic": _GLOSS,
  "VRM": _FALLBACK,
  "VRMC_materials_mtoon": _FALLBACK,
  "VRMC_node_constraint": _LABELS,
  "VRMC_springBone": _LABELS,
  "VRMC_vrm": _LABELS,
  "NV_materials_mdl": _FALLBACK,
  "ADOBE_materials_clearcoat_specular": _GLOSS,
  "ADOBE_materials_clearcoat_tint": _GLOSS,
  "ADOBE_materials_thin_transparency": _FALLBACK,
  "AGI_articulations": _LABELS,
  "AGI_stk_metadata": _LABELS,
  "CESIUM_primitive_outline": "outlines are not drawn",
  "EXT_instance_features": _LABELS,
  "EXT_mesh_features": _LABELS,
  "EXT_mesh_manifold": _LABELS,
  "EXT_structural_metadata": _LABELS,
  "FB_geometry_metadata": _LABELS,
  "GODOT_single_root": _LABELS,
  "GRIFFEL_bim_data": _LABELS,
  "KHR_audio_emitter": _LABELS,
  "KHR_implicit_shapes": _LABELS,
  "KHR_interactivity": _LABELS,
  "KHR_node_hoverability": _LABELS,
  "KHR_node_selectability": _LABELS,
  "KHR_physics_rigid_bodies": _LABELS,
  "KHR_xmp": _LABELS,
  "KHR_xmp_json_ld": _LABELS,
  "MPEG_viewport_recommended": _LABELS,
  "OMI_physics_body": _LABELS,
  "OMI_physics_shape": _LABELS,
}

# Refused where the geometry or the texture has no other form in the file.
REFUSED = {
  "EXT_meshopt_compression": "compressed geometry",
  "EXT_primitive_voxels": "voxels",
  "KHR_draco_mesh_compression": "compressed geometry",
  "KHR_gaussian_splatting": "Gaussian splats",
  "KHR_gaussian_splatting_compression_spz": "Gaussian splats",
  "KHR_gaussian_splatting_compression_spz_2": "Gaussian splats",
  "KHR_materials_common": "a kind of material from glTF 1.0",
  "KHR_meshopt_compression": "compressed geometry",
  "KHR_techniques_webgl": "programs in place of materials",
  "KHR_texture_basisu": "textures in the format KTX2",
  "MPEG_texture_video": "videos as textures",
}


def check_extensions(header: dict, label: str) -> None:
  """Refuses a file that requires an extension which is not read.

  Raises:
    UserError: names the extension and says what to do.
  """
  for name in header.get("extensionsRequired", ()):
    if name in READ or name in IGNORED:
      continue
    refuse(label, name)


def refuse(label: str, name: str) -> None:
  """Raises a UserError that names the extension."""
  what = REFUSED.get(name)
  because = f" ({what})" if what else ""
  raise UserError(
    f"{label} needs the glTF extension {name}{because}, which is not read:"
    " export the model again without it."
  )
