"""What stands in for language models where none is configured."""

from __future__ import annotations

from agents.models.port import ModelReply, ModelRequest, NoModelError, Watch


class AbsentModel:
    """`agents.models.port.Model` of an installation without models."""

    async def complete(self, request: ModelRequest, watch: Watch | None = None) -> ModelReply:
        """Raise NoModelError: there is nobody to ask."""
        del watch
        raise NoModelError(request.alias, {})

    def offers(self, alias: str) -> bool:
        """Return False."""
        del alias
        return False

    def price_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """Return None: nobody knows."""
        del alias, input_tokens, output_tokens
        return None

    def most_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """Return None: nobody knows."""
        return self.price_usd(alias, input_tokens, output_tokens)
