"""The whole swarm in one process on virtual time: one scheduler, one seed, every chance of it repeatable."""
