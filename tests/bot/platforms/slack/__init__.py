"""Tests of what Slack shows."""
