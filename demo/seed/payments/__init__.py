"""Payments: charges and refunds cards, books both in the ledger."""
