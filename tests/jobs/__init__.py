"""Tests of what lasts: the store, the engine and its embedded Redis."""
