"""Discovery: events and markets as the venue's metadata service (Gamma) lists them."""
