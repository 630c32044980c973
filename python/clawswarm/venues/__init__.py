"""The edges: each venue's adapter is the only place that knows its words."""
