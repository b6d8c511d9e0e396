"""What a cart costs."""

from typing import Any

TAX_BY_COUNTRY = {"DE": 0.19, "FR": 0.20, "NL": 0.21, "SE": 0.25, "US": 0.07}
COUPONS = {"SPRING10": 0.10, "WELCOME5": 0.05}


def discount_for(code: str | None) -> float:
    """Return the share of the price that a coupon takes off."""
    return COUPONS.get(code or "", 0.0)


def tax_for(address: dict[str, Any], net: float) -> float:
    """Return the tax on a net price at the customer's address."""
    return net * TAX_BY_COUNTRY[address["country"]]


def price(cart: dict[str, Any]) -> dict[str, float]:
    """Return net, tax and total of a cart."""
    net = sum(line["quantity"] * line["unit_price"] for line in cart["lines"])
    net *= 1 - discount_for(cart.get("coupon"))
    tax = tax_for(cart["address"], net)
    return {"net": round(net, 2), "tax": round(tax, 2), "total": round(net + tax, 2)}
