"""Tests of evaluation: scenarios, their worlds, the judge, the report."""
