"""The shipped workflows, whole, in this process: real agents, policies and tools."""
