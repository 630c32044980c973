"""The way out of this machine: everything leaves over the host's own address, unless a route is declared."""
