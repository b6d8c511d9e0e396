"""The demo shop: a small real system that fails for real, for Muster to repair."""
