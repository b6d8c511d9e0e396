"""One suite per port; every adapter inherits it."""
