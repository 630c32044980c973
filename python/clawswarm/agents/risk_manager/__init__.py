"""Risk manager: net exposure per underlying, inside the band."""
