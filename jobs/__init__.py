"""What lasts: the run's state machine, the store, RQ jobs, workers, leases and recovery."""
