"""Who the customers are: made-up companies under addresses that nobody has."""

from dataclasses import dataclass
from typing import Literal

Plan = Literal["enterprise", "pro", "free"]


@dataclass(frozen=True, slots=True)
class Company:
    """One customer, with the first name of whoever owns the account."""

    name: str
    country: str
    plan: Plan
    owner: str

    @property
    def domain(self) -> str:
        """Return the company's domain, which cannot exist."""
        return "".join(c for c in self.name.lower() if c.isascii() and c.isalnum()) + ".example"


COMPANIES = (
    Company("Fjord Outdoor", "NO", "enterprise", "Ingrid Solberg"),
    Company("Meridian Pharmacy", "DE", "enterprise", "Jonas Keller"),
    Company("Harbour Grocers", "NL", "enterprise", "Sanne de Vries"),
    Company("Atlas Bikes", "FR", "enterprise", "Camille Moreau"),
    Company("Northlight Optics", "SE", "enterprise", "Elsa Lindqvist"),
    Company("Granite Tools", "US", "enterprise", "Marcus Reed"),
    Company("Lumen Books", "DE", "pro", "Ada Winter"),
    Company("Brightside Toys", "NL", "pro", "Bram Visser"),
    Company("Cedar & Clay", "US", "pro", "Nora Ellis"),
    Company("Velo Nord", "SE", "pro", "Oskar Berg"),
    Company("Maison Verte", "FR", "pro", "Luc Girard"),
    Company("Pixel Prints", "DE", "pro", "Mira Vogt"),
    Company("Saltwater Surf", "US", "pro", "Kai Morgan"),
    Company("Tinker Parts", "NL", "pro", "Fenna Bakker"),
    Company("Birch Furniture", "NO", "pro", "Lars Haugen"),
    Company("Orchard Teas", "FR", "pro", "Elise Laurent"),
    Company("Copper Kettle", "DE", "pro", "Timo Brandt"),
    Company("Summit Gear", "US", "pro", "Dana Brooks"),
    Company("Kiosk 24", "DE", "free", "Yusuf Aydin"),
    Company("Petal Florists", "NL", "free", "Roos Jansen"),
    Company("Little Loom", "SE", "free", "Freja Holm"),
    Company("Rustic Candles", "US", "free", "Joy Palmer"),
    Company("Old Town Vinyl", "FR", "free", "Hugo Petit"),
    Company("Paper Crane", "DE", "free", "Lea Sommer"),
    Company("Wool Shed", "NO", "free", "Kari Moen"),
    Company("Button Box", "NL", "free", "Daan Smit"),
    Company("Honeycomb Farm", "US", "free", "Ruth Carver"),
    Company("Lantern Comics", "FR", "free", "Zoe Faure"),
    Company("Mosaic Soaps", "SE", "free", "Nils Ek"),
    Company("Daily Roast", "DE", "free", "Pia Lorenz"),
)

COLLEAGUES = (
    "Alex Hart",
    "Kim Larsen",
    "Robin Weiss",
    "Sam Dubois",
    "Jamie Stone",
    "Chris Holt",
    "Toni Berger",
    "Noa Visser",
)
MANAGERS = ("Priya Nair", "Tom Becker")
REGIONS = {
    "DE": "eu-central",
    "FR": "eu-west",
    "NL": "eu-west",
    "NO": "eu-north",
    "SE": "eu-north",
    "US": "us-west",
}
CURRENCIES = {"DE": "EUR", "FR": "EUR", "NL": "EUR", "NO": "NOK", "SE": "SEK", "US": "USD"}
RESPONSE_MINUTES: dict[Plan, int | None] = {"enterprise": 15, "pro": 240, "free": None}
"""How soon a first answer is promised; a free plan promises nothing."""
PRICE_CENTS: dict[Plan, int] = {"enterprise": 4_900, "pro": 1_900, "free": 0}
"""Of one seat for one month."""
