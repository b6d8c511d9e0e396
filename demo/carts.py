"""What the shop's customers ask for: random but plausible requests."""

import random
from dataclasses import dataclass
from typing import Any

QUOTE_SHARE = 0.13
REFUND_SHARE = 0.02
# Customers with the old app send addresses without a tax region.
OLD_APP_SHARE = 0.42
COUPON_SHARE = 0.10

_REGIONS = {
    "DE": "eu-central",
    "FR": "eu-west",
    "NL": "eu-west",
    "NO": "eu-north",
    "SE": "eu-north",
    "US": "us-west",
}
_CURRENCIES = {"DE": "EUR", "FR": "EUR", "NL": "EUR", "NO": "NOK", "SE": "SEK", "US": "USD"}
_ISSUERS = ("northbank", "citycard", "unionpay", "meridian", "coastal")
_COUPONS = ("SPRING10", "WELCOME5", "spring10", "WINTER20")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to checkout."""

    path: str
    payload: dict[str, Any]


def cart(chance: random.Random, issuer: str | None = None) -> dict[str, Any]:
    """Return a cart of a random customer, who pays with a card of the issuer if one is named."""
    country = chance.choice(tuple(_REGIONS))
    address: dict[str, Any] = {"country": country}
    if chance.random() >= OLD_APP_SHARE:
        address["tax_region"] = _REGIONS[country]
    filled: dict[str, Any] = {
        "id": chance.randint(100_000, 999_999),
        "address": address,
        "currency": _CURRENCIES[country],
        "issuer": issuer or chance.choice(_ISSUERS),
        "lines": [
            {
                "sku": f"sku-{chance.randint(1000, 1411)}",
                "quantity": chance.randint(1, 3),
                "unit_price": round(chance.uniform(3, 80), 2),
            }
            for _ in range(chance.randint(1, 4))
        ],
    }
    if chance.random() < COUPON_SHARE:
        filled["coupon"] = chance.choice(_COUPONS)
    return filled


def refund(chance: random.Random, *, is_foreign: bool = False) -> dict[str, Any]:
    """Return a refund; a foreign one asks for another currency than the order was paid in."""
    captured = chance.choice(tuple(_CURRENCIES.values()))
    others = sorted(set(_CURRENCIES.values()) - {captured})
    return {
        "order": chance.randint(100_000, 999_999),
        "amount": round(chance.uniform(5, 90), 2),
        "currency": chance.choice(others) if is_foreign else captured,
        "captured_currency": captured,
    }


def ask(chance: random.Random) -> Ask:
    """Return the next request of everyday traffic."""
    draw = chance.random()
    if draw < QUOTE_SHARE:
        return Ask("/quotes", cart(chance))
    if draw < QUOTE_SHARE + REFUND_SHARE:
        return Ask("/refunds", refund(chance))
    return Ask("/orders", cart(chance))
