"""Makes the helpers of this folder and of the sandbox's tests importable."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "sandbox")]
