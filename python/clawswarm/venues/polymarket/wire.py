"""What every reader of the venue's messages shares.

Source: docs.polymarket.com and the official clients, as restated in the project's fact sheet.
"""

import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
"""What decoding a peer's bytes may raise: msgspec lets bad UTF-8 through as Python's own error."""
