"""OpenClaw Swarm: eleven agents that make markets on Polymarket. ARCHITECTURE.md shows the rooms."""
