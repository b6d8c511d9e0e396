"""Tests of `agents.tools`."""
