"""The syndicate: one folder an agent, `agent.py` the shell, everything else pure."""
