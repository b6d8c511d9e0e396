"""What customers asked before, and what went wrong before."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """One earlier ticket and how it was answered; no answer means that it is still open."""

    category: str
    urgency: str
    subject: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """One earlier incident, so many days ago and so many minutes long."""

    service: str
    severity: str
    title: str
    cause: str
    days_ago: int
    minutes: int


SOLVED = (
    Asked("question", "low", "How do I export my orders?", "Settings → Data → Export, as CSV."),
    Asked("question", "low", "Can I add a second shipping address?", "Yes: Settings → Addresses."),
    Asked(
        "question", "normal", "Where do I change the VAT number?", "Settings → Billing → Company."
    ),
    Asked(
        "billing", "normal", "Invoice goes to the wrong person", "The billing contact was changed."
    ),
    Asked("billing", "normal", "Charged for a seat we removed", "The seat was credited."),
    Asked("bug", "normal", "Coupon is refused although valid", "Fixed with checkout 2.3.1."),
    Asked("bug", "high", "Refund stays pending for days", "Booked by hand; fixed in payments 1.8."),
    Asked("feature", "low", "Please support gift cards", "Noted; it is planned for next year."),
    Asked("feature", "low", "Dark mode for the dashboard", "Noted, without a date."),
)

OPEN: dict[str, tuple[Asked, ...]] = {
    "Meridian Pharmacy": (Asked("bug", "critical", "Orders fail for returning customers"),),
    "Lumen Books": (Asked("billing", "normal", "We were charged twice this month"),),
    "Brightside Toys": (Asked("billing", "high", "Our shop says that it is suspended"),),
    "Atlas Bikes": (Asked("feature", "low", "Invoices per cost centre"),),
    "Kiosk 24": (Asked("question", "low", "Is there an export of all orders?"),),
}
"""Tickets that wait, by company."""

OUTAGES = (
    Outage("checkout", "major", "Checkout answered slowly", "A tax lookup without a cache", 12, 47),
    Outage(
        "payments", "critical", "Cards were declined", "An issuer's certificate expired", 33, 96
    ),
    Outage("checkout", "minor", "Quotes without prices", "A release missed a default", 58, 14),
    Outage(
        "payments", "major", "Refunds were delayed", "The ledger ran out of connections", 90, 73
    ),
)
