"""What a call used and cost, from the provider's bill, people's prices and litellm's map."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from agents.models.naming import litellm_name
from agents.models.port import Message, ModelRequest, Role, Usage, estimated_tokens
from agents.models.wire import WireCall
from config.specs import ModelSpec

TOKENS_PER_PRICE = 1_000_000
PriceMap = Callable[..., tuple[float, float]]
"""litellm's `cost_per_token`: dollars for what goes in, and for what comes out."""


def cost_usd(
    prices: PriceMap, spec: ModelSpec, input_tokens: int, output_tokens: int, bill: Any = None
) -> float | None:
    """Return the price from models.yaml, else from litellm's map, else None.

    With the provider's bill the map counts cached tokens at their own price.
    """
    own_in, own_out = spec.input_usd_per_million, spec.output_usd_per_million
    if own_in is not None and own_out is not None:
        return (input_tokens * own_in + output_tokens * own_out) / TOKENS_PER_PRICE
    tokens: dict[str, Any] = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}
    if bill is not None:
        tokens["usage_object"] = bill
    try:
        cost_in, cost_out = prices(model=litellm_name(spec), **tokens)
    except Exception:  # whatever litellm raises here means: no price is known
        return None
    return float(cost_in + cost_out)


def usage_of(
    prices: PriceMap,
    spec: ModelSpec,
    request: ModelRequest,
    bill: Any,
    text: str,
    calls: Iterable[WireCall],
) -> Usage:
    """Return what a call used; estimated when the server does not say, so that budgets hold."""
    input_tokens = int(getattr(bill, "prompt_tokens", 0) or 0)
    output_tokens = int(getattr(bill, "completion_tokens", 0) or 0)
    if not input_tokens:
        bill = None
        said = Message(Role.ASSISTANT, text + "".join(call.arguments for call in calls))
        input_tokens = max(1, estimated_tokens(request.messages, request.tools))
        output_tokens = max(1, estimated_tokens((said,)))
    details = getattr(bill, "prompt_tokens_details", None)
    cached_tokens = int(getattr(details, "cached_tokens", 0) or 0)
    paid = cost_usd(prices, spec, input_tokens, output_tokens, bill)
    return Usage(input_tokens, cached_tokens, output_tokens, paid)
