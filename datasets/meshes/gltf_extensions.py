# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lists which extensions of glTF 2.0 are read, ignored or refused.

The lists hold the ratified extensions of Khronos, and those extensions of
vendors that are common or that change how a mesh looks. A file that *requires*
any other extension is refused, and the message names the extension. A file that
only *uses* another extension is read, because the standard says that such a
file is valid without the extension.
"""

from threedim_jax.runtime.errors import UserError

# `gltf.py` or `gltf_materials.py` reads these.
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

# Pictures of still, diffuse surfaces are right without these. The table in
# datasets/README.md gives the reason for each.
IGNORED = (
  "ADOBE_materials_clearcoat_specular",
  "ADOBE_materials_clearcoat_tint",
  "ADOBE_materials_thin_transparency",
  "AGI_articulations",
  "AGI_stk_metadata",
  "CESIUM_primitive_outline",
  "EXT_instance_features",
  "EXT_lights_ies",
  "EXT_lights_image_based",
  "EXT_mesh_features",
  "EXT_mesh_manifold",
  "EXT_structural_metadata",
  "FB_geometry_metadata",
  "GODOT_single_root",
  "GRIFFEL_bim_data",
  "KHR_accessor_float64",
  "KHR_animation_pointer",
  "KHR_audio_emitter",
  "KHR_implicit_shapes",
  "KHR_interactivity",
  "KHR_lights_punctual",
  "KHR_materials_anisotropy",
  "KHR_materials_clearcoat",
  "KHR_materials_diffuse_transmission",
  "KHR_materials_dispersion",
  "KHR_materials_ior",
  "KHR_materials_iridescence",
  "KHR_materials_sheen",
  "KHR_materials_specular",
  "KHR_materials_subsurface",
  "KHR_materials_variants",
  "KHR_materials_volume",
  "KHR_materials_volume_scatter",
  "KHR_node_hoverability",
  "KHR_node_selectability",
  "KHR_physics_rigid_bodies",
  "KHR_xmp",
  "KHR_xmp_json_ld",
  "MPEG_viewport_recommended",
  "MSFT_lod",
  "MSFT_packing_normalRoughnessMetallic",
  "MSFT_packing_occlusionRoughnessMetallic",
  "NV_materials_mdl",
  "OMI_physics_body",
  "OMI_physics_shape",
  "VRM",
  "VRMC_materials_mtoon",
  "VRMC_node_constraint",
  "VRMC_springBone",
  "VRMC_vrm",
)

# Refused if the file has the geometry or the texture in no other form.
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
  """Refuses a file that requires an extension which is not supported.

  Raises:
    UserError: names the extension and says what to do.
  """
  for name in header.get("extensionsRequired", ()):
    if name not in READ and name not in IGNORED:
      refuse(label, name)


def refuse(label: str, name: str) -> None:
  """Raises a UserError that names the file and the extension."""
  what = REFUSED.get(name)
  because = f" ({what})" if what else ""
  raise UserError(
    f"{label} needs the glTF extension {name}{because}, which is not read:"
    " export the model again without it."
  )
