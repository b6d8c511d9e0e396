"""What support triage decides by rules."""
