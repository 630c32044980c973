"""What every process stands on: clock, bus, journal, process protocol, the engine's port."""
