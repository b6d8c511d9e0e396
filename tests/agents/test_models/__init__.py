"""Language models: the router, litellm over HTTP against a strict local server, the twins."""
