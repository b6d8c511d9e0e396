"""Muster over HTTP: webhooks, the API, and the web console."""
