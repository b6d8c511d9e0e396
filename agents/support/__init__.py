"""Support triage by rules: what a ticket is about, who it is from, who acts, what is replied."""
