"""The web console: pages, forms and their live updates."""
