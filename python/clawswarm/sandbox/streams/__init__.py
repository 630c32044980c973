"""The WebSocket channels and their frames."""
