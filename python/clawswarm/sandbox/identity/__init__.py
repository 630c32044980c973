"""Who is calling: keys, signatures, heartbeats."""
