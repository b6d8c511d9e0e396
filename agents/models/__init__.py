"""Language models: the port, the one module over litellm, and what makes calls dependable."""
