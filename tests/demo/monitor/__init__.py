"""Tests of the shop's monitoring."""
