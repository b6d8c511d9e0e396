"""Reading databases that people configured: one guarded statement at a time, never writing."""
