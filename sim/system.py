"""Which system libraries Blender's wheel needs but does not bring, and whether they are there.

Standard library only, so that ``.ci/check_system.py`` can run it with a bare Python before anything is installed.
"""

import ctypes
import sys

DEBIAN_PACKAGE = {
    "libGL.so.1": "libgl1",
    "libICE.so.6": "libice6",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXrender.so.1": "libxrender1",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libgomp.so.1": "libgomp1",
    "libxkbcommon.so.0": "libxkbcommon0",
}
"""Shared object -> Debian package, for what bpy 4.2's Linux wheel links (by ``ldd``) and neither bundles nor every
system has."""


def missing_system_libraries() -> list[str]:
    """Return the shared objects of DEBIAN_PACKAGE that the loader does not find; empty where all is well.

    Only Linux needs any: on macOS and Windows Blender's window libraries belong to the system.
    """
    if not sys.platform.startswith("linux"):
        return []
    return [name for name in DEBIAN_PACKAGE if not _loads(name)]


def installation_hint(missing: list[str]) -> str:
    """Return the one line that tells how to get the missing libraries."""
    packages = " ".join(sorted({DEBIAN_PACKAGE.get(name, name) for name in missing}))
    return f"Blender needs system libraries that are missing ({', '.join(missing)}): apt-get install {packages}"


def main() -> int:
    """Return 0 in silence if all libraries are there, else print the hint and return 2."""
    missing = missing_system_libraries()
    if missing:
        print(installation_hint(missing), file=sys.stderr)
    return 2 if missing else 0


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
