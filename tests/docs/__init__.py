"""Tests that the written part says what the code does."""
