"""The changes made to the shop's services: the past, and the releases that a demo deploys."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

SEED = Path(__file__).parent / "seed"
SEED_PATHS = (
    "README.md",
    "checkout/VERSION",
    "checkout/__init__.py",
    "checkout/pricing.py",
    "checkout/service.py",
    "checkout/texts.py",
    "payments/VERSION",
    "payments/__init__.py",
    "payments/ledger.py",
    "payments/service.py",
)

Tree = dict[str, str]
"""The text of every file of a release repository, by path."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement of a text that occurs exactly once in a file."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Change:
    """One commit: who changed which service, how, and how long before the demo."""

    author: str
    subject: str
    body: str
    service: str
    version: str
    age: timedelta
    edits: tuple[Edit, ...]

    @property
    def email(self) -> str:
        """Return the author's address in the shop's own domain."""
        return f"{self.author.split()[0].lower()}@shop.example"


IMPORT = Change(
    author="Mara Lindqvist",
    subject="Import checkout and payments",
    body="Split out of the old web shop; no change in behaviour.",
    service="",
    version="",
    age=timedelta(days=41, hours=3),
    edits=(),
)

PAST = (
    Change(
        author="Tomas Ferreira",
        subject="checkout: accept coupon codes in lower case",
        body="Half of the codes that support gets are typed on a phone.",
        service="checkout",
        version="2.12.0",
        age=timedelta(days=33, hours=5, minutes=12),
        edits=(
            Edit(
                "checkout/pricing.py",
                'COUPONS.get(code or "", 0.0)',
                'COUPONS.get((code or "").upper(), 0.0)',
            ),
        ),
    ),
    Change(
        author="Wen Zhao",
        subject="payments: name the share of issuer retries",
        body="It was a bare number in the middle of charge().",
        service="payments",
        version="1.7.1",
        age=timedelta(days=26, hours=1, minutes=40),
        edits=(
            Edit("payments/service.py", "ISSUER_RETRY_SHARE = 0.01", "ISSUER_RETRY_SHARE = 0.012"),
        ),
    ),
    Change(
        author="Mara Lindqvist",
        subject="checkout: charge Norwegian VAT",
        body="We ship to Norway from the first of the month.",
        service="checkout",
        version="2.13.0",
        age=timedelta(days=19, hours=7, minutes=3),
        edits=(Edit("checkout/pricing.py", '"NL": 0.21,', '"NL": 0.21, "NO": 0.25,'),),
    ),
    Change(
        author="Joost de Vries",
        subject="payments: refuse refunds in a foreign currency",
        body="The ledger books a refund in the currency of the capture; anything else is a typo.",
        service="payments",
        version="1.8.0",
        age=timedelta(days=12, hours=2, minutes=55),
        edits=(
            Edit(
                "payments/service.py",
                '"""Send money back for an order and book it."""',
                '"""Send money back for an order in the currency it was paid in, and book it."""',
            ),
        ),
    ),
    Change(
        author="Tomas Ferreira",
        subject="checkout: say which cart is empty",
        body="Support asked for it.",
        service="checkout",
        version="2.13.1",
        age=timedelta(days=6, hours=4, minutes=20),
        edits=(
            Edit(
                "checkout/service.py",
                '{"message": texts.EMPTY_CART}',
                '{"message": texts.EMPTY_CART, "cart": cart["id"]}',
            ),
        ),
    ),
    Change(
        author="Wen Zhao",
        subject="payments: checkpoint the ledger every thirteen seconds",
        body="Keeps checkpoints from coinciding with settlement batches.",
        service="payments",
        version="1.8.1",
        age=timedelta(days=5, hours=6, minutes=31),
        edits=(
            Edit(
                "payments/service.py",
                "runtime.every(11.0, self._checkpoint)",
                "runtime.every(13.0, self._checkpoint)",
            ),
        ),
    ),
    Change(
        author="Aisha Bello",
        subject="checkout: refresh the stock cache more often",
        body="Nine seconds oversold the spring sale twice.",
        service="checkout",
        version="2.14.0",
        age=timedelta(days=2, hours=3, minutes=8),
        edits=(
            Edit("checkout/service.py", "runtime.every(9.0, self._", "runtime.every(6.0, self._"),
        ),
    ),
)

RECENT = Change(
    author="Mara Lindqvist",
    subject="checkout: name the coupon codes in one place",
    body="No change in behaviour.",
    service="checkout",
    version="2.14.1",
    age=timedelta(minutes=47),
    edits=(
        Edit(
            "checkout/pricing.py",
            'COUPONS = {"SPRING10": 0.10, "WELCOME5": 0.05}',
            '# Shares of the net price, by code.\nCOUPONS = {"SPRING10": 0.10, "WELCOME5": 0.05}',
        ),
    ),
)

TAX_BY_REGION = Change(
    author="Priya Raman",
    subject="checkout: price tax by region instead of by country",
    body=(
        "The tax service now delivers rates per region. Addresses carry their region since the\n"
        "new address form, so the table by country can go."
    ),
    service="checkout",
    version="2.15.0",
    age=timedelta(minutes=9),
    edits=(
        Edit(
            "checkout/pricing.py",
            "TAX_BY_COUNTRY = {",
            'TAX_BY_REGION = {"us-west": 0.09, "us-east": 0.08, "eu-north": 0.25, '
            '"eu-west": 0.20, "eu-central": 0.19}\nTAX_BY_COUNTRY = {',
        ),
        Edit(
            "checkout/pricing.py",
            'return net * TAX_BY_COUNTRY[address["country"]]',
            'return net * TAX_BY_REGION[address["tax_region"]]',
        ),
    ),
)

FRIENDLIER_TEXTS = Change(
    author="Joost de Vries",
    subject="checkout: friendlier wording for confirmations",
    body="Copy only, agreed with the support team.",
    service="checkout",
    version="2.14.1",
    age=timedelta(minutes=14),
    edits=(
        Edit("checkout/texts.py", '"Order placed."', '"Thank you! Your order is on its way."'),
        Edit(
            "checkout/texts.py",
            '"Refund accepted."',
            '"Your refund is on its way back to you."',
        ),
    ),
)


def seed_tree() -> Tree:
    """Return the files of the first commit."""
    return {path: (SEED / path).read_text(encoding="utf-8") for path in SEED_PATHS}


def apply_change(tree: Mapping[str, str], change: Change) -> Tree:
    """Return the files after a change, the service's version file included."""
    after = dict(tree)
    for edit in change.edits:
        if after[edit.path].count(edit.old) != 1:
            raise ValueError(f"{change.subject!r} does not fit {edit.path}: {edit.old!r}")
        after[edit.path] = after[edit.path].replace(edit.old, edit.new)
    after[f"{change.service}/VERSION"] = f"{change.version}\n"
    return after
