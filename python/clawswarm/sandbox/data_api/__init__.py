"""Positions, trades and portfolio values as the venue's Data API reports them."""
