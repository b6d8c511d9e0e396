"""What people touch: platforms, alert sources, intake, progress, the web console, the CLI."""
