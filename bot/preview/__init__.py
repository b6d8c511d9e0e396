"""What a platform shows, drawn in a browser without that platform."""
