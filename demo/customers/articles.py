"""The help articles that the shop's support has written."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HelpArticle:
    """One article; the title is what people ask."""

    title: str
    text: str
    slug: str


ARTICLES = (
    HelpArticle(
        "How do I export my orders as CSV?",
        "You can export your orders at any time. Open Settings, then Data, and choose Export "
        "orders. The file has one line for each order, and comes to you by mail within a minute.",
        "export-orders",
    ),
    HelpArticle(
        "How do I download an invoice?",
        "Every invoice is kept for ten years. Open Settings, then Billing, and choose the month. "
        "The owner and the billing contact of an account can see invoices, nobody else.",
        "download-invoice",
    ),
    HelpArticle(
        "How do I change the VAT number?",
        "Open Settings, then Billing, then Company, and enter the new VAT number. It stands on "
        "all invoices from the next one on. Invoices that were issued before do not change.",
        "change-vat-number",
    ),
    HelpArticle(
        "How do I add a second shipping address?",
        "Open Settings, then Addresses, and choose Add address. Customers choose between your "
        "addresses at checkout.",
        "second-shipping-address",
    ),
    HelpArticle(
        "How do I invite a colleague as admin?",
        "Open Settings, then Team, and choose Invite. Choose the role Admin. The invitation is "
        "valid for seven days, and each colleague counts as one seat.",
        "invite-colleague",
    ),
    HelpArticle(
        "How do I cancel my plan?",
        "Open Settings, then Billing, and choose Cancel plan. The plan ends with the month that "
        "is paid for. Your data can be exported for 90 days after that.",
        "cancel-plan",
    ),
    HelpArticle(
        "Where do I find the status page?",
        "The status page says whether all services work, and what we do when one does not. You "
        "can subscribe to it there.",
        "status-page",
    ),
)
