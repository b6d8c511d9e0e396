"""Tests of `agents.databases`."""
