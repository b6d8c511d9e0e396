"""The benchmarks: that they run, and what they write."""
