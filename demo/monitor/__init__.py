"""The shop's monitoring: scrapes, records, alerts, and answers like a Prometheus."""
