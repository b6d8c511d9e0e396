"""What keeps a chat up to date: one leader, live cards, budgets, and posts that arrive once."""
