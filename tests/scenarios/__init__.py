"""Whole stories, told by the real processes."""
