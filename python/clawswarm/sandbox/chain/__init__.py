"""The simulated Polygon, as far as the venue needs it: contracts, what calls to them do, approvals."""
