"""Fences around untrusted text, so that a model can tell data from what it is asked to do.

A fence only helps the model; what code must not let through is stopped by `agents.policy`.
"""

from __future__ import annotations

import hashlib

NONCE_CHARS = 12


def nonce_of(run_id: str, step_id: str) -> str:
    """Return the word that marks the fences of one step; the same after a takeover."""
    return hashlib.sha256(f"{run_id}/{step_id}".encode()).hexdigest()[:NONCE_CHARS]


def opening_mark(nonce: str) -> str:
    """Return the line before untrusted text."""
    return f"<<data {nonce}>>"


def closing_mark(nonce: str) -> str:
    """Return the line after untrusted text."""
    return f"<<end {nonce}>>"


def fence(text: str, nonce: str) -> str:
    """Return untrusted text between marks that it cannot imitate: the nonce is taken out of it."""
    inner = text.replace(nonce, "…") if nonce else text
    return f"{opening_mark(nonce)}\n{inner}\n{closing_mark(nonce)}"
