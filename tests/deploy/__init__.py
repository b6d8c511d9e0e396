"""What is shipped for containers."""
