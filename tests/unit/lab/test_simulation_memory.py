"""The folder of a simulation goes with it, also where it could not clear up itself."""

import subprocess
import sys
from pathlib import Path

from clawswarm.lab.simulation.memory import folder_in_memory

HOLD = """
import sys, pathlib
from clawswarm.lab.simulation.memory import folder_in_memory
with folder_in_memory(pathlib.Path(sys.argv[1])) as folder:
    (folder / "ledger.db").write_bytes(bytes(1_000))
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_simulation_left_goes_with_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        with folder_in_memory(tmp_path) as beside:
            assert {*tmp_path.iterdir()} == {left, beside}, "what another simulation uses stays"
        holder.kill()
        holder.wait()
        assert (left / "ledger.db").exists()
    with folder_in_memory(tmp_path) as next_one:
        assert [*tmp_path.iterdir()] == [next_one]
    assert not [*tmp_path.iterdir()]
