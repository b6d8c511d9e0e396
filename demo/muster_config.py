"""The configuration that tells Muster about a running shop."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from demo.customers.database import TABLES
from demo.customers.office import STATES
from demo.info import ShopInfo

COMMAND_TIMEOUT_S = 60
MAX_ROWS = 100
ALL_CUSTOMERS = "customers@lists.shop.example"
_DESCRIPTIONS = {
    "checkout": "Takes carts, prices them, charges through payments",
    "payments": "Charges and refunds cards and books both in the ledger",
}
_DEPENDS_ON: dict[str, list[str]] = {"checkout": ["payments"], "payments": []}


def muster_config(info: ShopInfo, into: Path) -> Path:
    """Write `services.yaml` for the shop into a directory and return the file."""
    into.mkdir(parents=True, exist_ok=True)
    path = into / "services.yaml"
    services = {service: _service(info, service) for service in _DESCRIPTIONS}
    config = {
        "services": services,
        "http": {"allow_hosts": [urlsplit(info.urls["office"]).netloc]},
        "databases": {"customers": _customers(info)},
        "outlets": {
            "status-page": _status_page(info),
            "customer-mail": _customer_mail(info),
            "customer-notice": _customer_notice(info),
        },
    }
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")
    return path


def _service(info: ShopInfo, service: str) -> dict[str, Any]:
    return {
        "description": _DESCRIPTIONS[service],
        "environment": "production",
        "depends_on": _DEPENDS_ON[service],
        "metrics": {
            "prometheus": info.urls["monitor"],
            "scrape": f"{info.urls[service]}/metrics",
            "indicators": {
                "error_ratio": _indicator("service:error_ratio", service, "ratio", "high", 0.02),
                "latency_p95": _indicator(
                    "service:latency_p95_seconds", service, "seconds", "high", 0.3
                ),
                "request_rate": _indicator(
                    "service:request_rate", service, "per_second", "low", 1.0
                ),
            },
        },
        "logs": {"files": [info.logs[service]]},
        "repository": {
            "path": info.repository,
            "paths": [f"{service}/"],
            "deploy_tags": f"deploy/{service}/*",
        },
        "commands": {
            "rollback": _command(
                info,
                service,
                "rollback",
                f"Run an earlier release of {service} again; takes seconds, drops no request",
                {"release": "[0-9a-f]{7,40}"},
            ),
            "restart": _command(
                info,
                service,
                "restart",
                f"Restart {service} with the release it runs; requests under way may fail",
                {},
            ),
        },
    }


def _customers(info: ShopInfo) -> dict[str, Any]:
    return {
        "description": "The shop's customers: start with customer_overview, by the email of who "
        "writes; amounts are in cents; api_url has an account as JSON",
        "path": str(info.layout.customers),
        "tables": list(TABLES),
        "max_rows": MAX_ROWS,
    }


def _status_page(info: ShopInfo) -> dict[str, Any]:
    return {
        "description": "The public status page: subject is the heading; fields: state "
        f"({', '.join(STATES)}), eta (when the next update or the fix is expected)",
        "url": f"{info.urls['office']}/status",
        "body": {
            "title": "{{ args.subject }}",
            "text": "{{ args.text }}",
            "state": "{{ args.fields.state }}",
            "eta": "{{ args.fields.eta }}",
        },
        "honours_key": True,
    }


def _customer_mail(info: ShopInfo) -> dict[str, Any]:
    return {
        "description": "Mail to one customer: to is the address; fields: ticket (its id)",
        "url": f"{info.urls['office']}/mailbox",
        "body": {
            "to": "{{ args.to }}",
            "subject": "{{ args.subject }}",
            "text": "{{ args.text }}",
            "ticket": "{{ args.fields.ticket }}",
        },
        "honours_key": True,
    }


def _customer_notice(info: ShopInfo) -> dict[str, Any]:
    return {
        "description": "A letter to all customers",
        "url": f"{info.urls['office']}/mailbox",
        "body": {
            "to": ALL_CUSTOMERS,
            "subject": "{{ args.subject }}",
            "text": "{{ args.text }}",
        },
        "honours_key": True,
    }


def _indicator(name: str, service: str, unit: str, bad: str, floor: float) -> dict[str, Any]:
    return {"query": f'{name}{{service="{service}"}}', "unit": unit, "bad": bad, "floor": floor}


def _command(
    info: ShopInfo, service: str, verb: str, description: str, arguments: dict[str, str]
) -> dict[str, Any]:
    argv = [info.python, "-m", "demo.shop", verb, "--dir", info.dir, "--service", service]
    for name in arguments:
        argv += [f"--{name}", f"{{{name}}}"]
    return {
        "description": description,
        "argv": argv,
        "cwd": info.cwd,
        "arguments": arguments,
        "honours_key": True,
        "timeout_s": COMMAND_TIMEOUT_S,
    }
