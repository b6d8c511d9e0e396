"""Configuration for a real Prometheus and Alertmanager that watch the shop."""

from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import yaml

from demo.info import ShopInfo
from demo.monitor.alerts import rule_groups
from demo.scenario import Fault

ALERTMANAGER_ADDRESS = "127.0.0.1:9093"
_TEMPLATES = Path(__file__).parent


def write_prometheus_config(
    directory: Path,
    shop: ShopInfo,
    webhook_url: str,
    token_file: Path,
    alertmanager: str = ALERTMANAGER_ADDRESS,
) -> Path:
    """Write prometheus.yml, rules.yml and alertmanager.yml; return prometheus.yml.

    `alertmanager` is the host:port at which the Alertmanager will listen.
    """
    directory.mkdir(parents=True, exist_ok=True)
    groups = rule_groups(is_touchy=shop.fault == Fault.NONE)
    rules = yaml.safe_dump({"groups": groups}, sort_keys=False, width=200)
    (directory / "rules.yml").write_text(rules, encoding="utf-8")
    values = {
        "alertmanager": alertmanager,
        "checkout": urlsplit(shop.urls["checkout"]).netloc,
        "payments": urlsplit(shop.urls["payments"]).netloc,
        "webhook": webhook_url,
        "token_file": str(token_file.absolute()),
    }
    for name in ("prometheus.yml", "alertmanager.yml"):
        template = Template((_TEMPLATES / f"{name}.tmpl").read_text(encoding="utf-8"))
        (directory / name).write_text(template.substitute(values), encoding="utf-8")
    return directory / "prometheus.yml"
