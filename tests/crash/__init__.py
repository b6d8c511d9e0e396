"""Kills processes on purpose, and holds what is left to what should be there."""
