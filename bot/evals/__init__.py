"""Evaluation: scenarios with a recorded world are run, judged and reported on."""
