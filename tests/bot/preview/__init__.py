"""Tests of what is drawn for the browser."""
