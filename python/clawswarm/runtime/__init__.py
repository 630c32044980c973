"""Running the swarm: configuration, wiring, supervisor, report."""
