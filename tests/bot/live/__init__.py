"""Cards, posts and their leader."""
