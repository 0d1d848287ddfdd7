"""Mesh files of others: read safely, checked, mended, made light, their textures baked onto one sheet."""
