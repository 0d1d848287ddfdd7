"""What a BlenderProc user writes today: colour, depth, normals and segmentation of a scene, by its defaults.

    blenderproc run stock_blenderproc.py SCENE_FOLDER OUT_FOLDER [options]

The folder holds scene.glb, surroundings.hdr and scene.json, as ``render_scene.hand_over`` writes them. The options
leave BlenderProc's defaults on purpose: other sample counts, and references.
"""

import blenderproc as bproc  # noqa: I001  BlenderProc insists on being the first import

import argparse
import json
from pathlib import Path

import bpy
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("scene", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--samples", type=int, help="exactly so many samples per pixel; else BlenderProc's default")
parser.add_argument("--bounces", type=int, nargs=4, help="diffuse, glossy, all, transparent; and no caustics")
parser.add_argument("--reference", type=int, help="seed of a linear picture without denoiser, and no labels")
parser.add_argument("--view", type=int, help="only this camera")
args = parser.parse_args()

bproc.init()

about = json.loads((args.scene / "scene.json").read_text())
for number, thing in enumerate(bproc.loader.load_obj(str(args.scene / "scene.glb")), start=1):
    thing.set_cp("category_id", number)

for lamp in about["lights"]:
    light = bproc.types.Light(light_type="AREA")
    light.blender_obj.data.shape = "RECTANGLE"
    light.blender_obj.data.size, light.blender_obj.data.size_y = lamp["size_m"]
    strength = max(lamp["radiance"])
    light.set_energy(np.pi * lamp["size_m"][0] * lamp["size_m"][1] * strength)
    light.set_color([channel / strength for channel in lamp["radiance"]])
    light.set_local2world_mat(np.array(lamp["T_world_light"]))
bproc.world.set_world_background_hdr_img(str(args.scene / "surroundings.hdr"))

for number, camera in enumerate(about["cameras"]):
    if args.view in (None, number):
        K = np.array(camera["K"]) - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        bproc.camera.set_intrinsics_from_K_matrix(K, about["side_px"], about["side_px"], clip_start=0.01)
        pose = np.array(camera["T_world_cam"])
        pose = bproc.math.change_source_coordinate_frame_of_transformation_matrix(pose, ["X", "-Y", "-Z"])
        bproc.camera.add_camera_pose(pose)

bproc.renderer.set_output_format(view_transform="Standard")  # the default, Filmic, is no linear light in sRGB
if args.samples is not None:
    bproc.renderer.set_max_amount_of_samples(args.samples)
    bproc.renderer.set_noise_threshold(0)
if args.bounces is not None:
    diffuse, glossy, all_, transparent = args.bounces
    bproc.renderer.set_light_bounces(
        diffuse_bounces=diffuse, glossy_bounces=glossy, max_bounces=all_, transparent_max_bounces=transparent
    )
    bpy.context.scene.cycles.caustics_reflective = bpy.context.scene.cycles.caustics_refractive = False
if args.reference is not None:
    bproc.renderer.set_output_format("OPEN_EXR", 32, view_transform="Raw")
    bproc.renderer.set_denoiser(None)
    bpy.context.scene.cycles.seed = args.reference
else:
    bproc.renderer.enable_depth_output(activate_antialiasing=False)
    bproc.renderer.enable_normals_output()
    bproc.renderer.enable_segmentation_output(map_by=["category_id", "instance", "name"])

data = bproc.renderer.render()
bproc.writer.write_hdf5(str(args.out), data)
