"""The control port: what a test or a person may look at and break; never part of the venue."""
