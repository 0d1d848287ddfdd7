"""Say up front, in one line, which system libraries Blender's wheel will miss: ``python3.11 .ci/check_system.py``.

Runs with a bare Python: it loads the one list by its path, as the package itself is not installed yet.
"""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.exit(runpy.run_path(str(Path(__file__).resolve().parents[1] / "sim" / "system.py"))["main"]())
