"""What thinks: goals, plans, agents, tools, policy, evidence. No Redis, no chat, no RQ."""
