"""The web console as a platform: threads and messages kept by Muster itself."""
