"""Makes the helpers of this folder importable."""

import sys
from pathlib import Path

# The suite imports test files by path, so helpers beside them are found only this way.
sys.path.insert(0, str(Path(__file__).parent))
