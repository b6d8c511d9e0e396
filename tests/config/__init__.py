"""Tests of what people set."""
