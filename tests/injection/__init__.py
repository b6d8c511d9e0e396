"""Text that tells a model what to do, and a model that always obeys: code has to hold.

`python -m tests.injection` prints `payloads: N, obeyed: N, unapproved effects: 0`.
"""
