"""What the venue pays its traders: liquidity rewards for resting orders, rebates of collected fees."""
