"""Work on recorded and simulated markets, away from any venue."""
