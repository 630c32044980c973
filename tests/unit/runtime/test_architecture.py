"""Rules of the design that no linter checks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import clawswarm

PACKAGE = Path(clawswarm.__file__).parent
AGENTS = ("orchestrator", "quoter", "risk_manager", "sentinel")
ASYNCHRONOUS = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)


def modules_loaded_by(module: str) -> set[str]:
    """Names in sys.modules after a fresh interpreter has imported `module`."""
    program = f"import sys, {module}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_sandbox_never_loads_the_core_it_is_to_test() -> None:
    loaded = modules_loaded_by("clawswarm.sandbox.server")
    assert "clawswarm.sandbox.server" in loaded
    assert "clawswarm._core" not in loaded


def test_the_check_above_would_see_the_core() -> None:
    assert "clawswarm._core" in modules_loaded_by("clawswarm.agents.quoter.pricing")


@pytest.mark.parametrize("module", ["clawswarm.agents.quoter.desk", "clawswarm.agents.risk_manager.exposure"])
def test_the_pure_parts_of_an_agent_load_no_event_loop(module: str) -> None:
    assert not {"asyncio", "aiohttp", "zenoh"} & modules_loaded_by(module)


def test_a_command_starts_without_what_only_others_need() -> None:
    heavy = {"clawswarm.runtime.supervisor", "clawswarm.sandbox", "rich", "sqlalchemy", "structlog", "zenoh"}
    assert not heavy & modules_loaded_by("clawswarm.console.cli")


@pytest.mark.parametrize("agent", AGENTS)
def test_no_agent_loads_code_that_could_sign(agent: str) -> None:
    loaded = modules_loaded_by(f"clawswarm.agents.{agent}.agent")
    assert not {"py_clob_client_v2", "coincurve", "eth_account"} & loaded


@pytest.mark.parametrize("agent", AGENTS)
def test_in_an_agents_folder_only_its_agent_file_awaits(agent: str) -> None:
    folder = PACKAGE / "agents" / agent
    awaiting = {
        path.name
        for path in folder.glob("**/*.py")
        if any(isinstance(node, ASYNCHRONOUS) for node in ast.walk(ast.parse(path.read_text())))
    }
    assert awaiting == {"agent.py"}


def test_every_agent_is_looked_at() -> None:
    folders = {path.name for path in (PACKAGE / "agents").iterdir() if (path / "__init__.py").exists()}
    assert folders == set(AGENTS)
