"""The shop's small parts: log lines, effects, scenarios, configuration files, carts."""

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from config.specs import ServicesFile
from demo import carts
from demo.customers.database import TABLES
from demo.effects import Effect, EffectLog, KeyConflictError
from demo.eventlog import EventLog, render_fields
from demo.info import DirectoryInUseError, Layout, ShopInfo, ShopNotRunningError
from demo.monitor.alerts import rule_groups
from demo.scenario import Act, Fault, scenes
from demo.shop import main, muster_config, write_prometheus_config

INFO = ShopInfo(
    dir="/shop",
    fault="bad-release",
    started_at=0.0,
    baseline_s=25.0,
    python="/usr/bin/python3",
    cwd="/repo",
    pids={},
    urls={
        "checkout": "http://127.0.0.1:1001",
        "payments": "http://127.0.0.1:1002",
        "monitor": "http://127.0.0.1:1003",
        "office": "http://127.0.0.1:1004",
    },
    logs={"checkout": "/shop/logs/checkout.log", "payments": "/shop/logs/payments.log"},
    repository="/shop/releases",
)
EFFECT = Effect(1.0, "rollback", "checkout", "a" * 40, "k1", "1.0.0", "b" * 40, "done")


def test_log_lines_have_one_shape(tmp_path: Path) -> None:
    """A line has time, level, service, text and fields."""
    log = EventLog("checkout", tmp_path / "checkout.log")

    log.info("order placed", cart=1234, total=12.5)
    log.warning("coupon expired", code="X")

    first, second = (tmp_path / "checkout.log").read_text(encoding="utf-8").splitlines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO checkout order placed cart=1234 total=12\.50",
        first,
    )
    assert second.endswith(" WARN checkout coupon expired code=X")


def test_field_values_stay_one_word() -> None:
    """A value with spaces, quotes or line breaks is quoted, so that an event stays on its line."""
    assert render_fields({"a": 'x "y"\nz', "b": ""}) == 'a="x \\"y\\"\\nz" b=""'


def test_effects_survive_a_restart(tmp_path: Path) -> None:
    """A key is remembered by the file; without a key nothing is."""
    EffectLog(tmp_path / "effects.jsonl").add(EFFECT)
    EffectLog(tmp_path / "effects.jsonl").add(replace(EFFECT, key=None))

    log = EffectLog(tmp_path / "effects.jsonl")

    assert log.find("k1", "rollback", "checkout", "a" * 40) == EFFECT
    assert log.find("k2", "rollback", "checkout", "a" * 40) is None
    assert log.find(None, "rollback", "checkout", "a" * 40) is None


def test_a_key_means_one_effect(tmp_path: Path) -> None:
    """A key that did one thing cannot ask for another."""
    log = EffectLog(tmp_path / "effects.jsonl")
    log.add(EFFECT)

    with pytest.raises(KeyConflictError, match="use a new key"):
        log.find("k1", "rollback", "checkout", "c" * 40)
    with pytest.raises(KeyConflictError):
        log.find("k1", "restart", "checkout", None)


def test_red_herring_leads_the_onset() -> None:
    """The innocent deploy comes well before the slow dependency, also with a short baseline."""
    for baseline_s, lead_s in ((25.0, 12.0), (10.0, 5.0)):
        deploy, refunds = scenes(Fault.SLOW_PAYMENTS, baseline_s)
        assert (deploy.act, refunds.act) == (Act.DEPLOY, Act.REFUNDS)
        assert refunds.at_s - deploy.at_s == lead_s


def test_pace_stretches_waits() -> None:
    """A pace below one shortens every wait."""
    assert [scene.at_s for scene in scenes(Fault.BAD_RELEASE, 20.0, 0.5)] == [10.0]
    assert [scene.act for scene in scenes(Fault.NONE)] == [Act.BLIP]


def test_carts_of_the_old_app_have_no_region() -> None:
    """A large share of carts, and not all, is what the bad release cannot price."""
    chance = random.Random(7)
    addresses = [carts.cart(chance)["address"] for _ in range(500)]

    share = sum("tax_region" not in address for address in addresses) / 500

    assert 0.3 < share < 0.55


def test_everyday_refunds_are_never_foreign() -> None:
    """Only on demand does a refund ask for a currency other than the one paid."""
    chance = random.Random(7)
    plain = [carts.refund(chance) for _ in range(100)]
    foreign = [carts.refund(chance, is_foreign=True) for _ in range(100)]

    assert all(refund["currency"] == refund["captured_currency"] for refund in plain)
    assert all(refund["currency"] != refund["captured_currency"] for refund in foreign)


def test_muster_config_names_everything(tmp_path: Path) -> None:
    """The configuration for Muster has metrics, logs, releases and commands of both services."""
    path = muster_config(INFO, tmp_path)

    services = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    assert list(services) == ["checkout", "payments"]
    checkout = services["checkout"]
    assert checkout["depends_on"] == ["payments"]
    assert checkout["metrics"]["prometheus"] == "http://127.0.0.1:1003"
    assert checkout["metrics"]["indicators"]["error_ratio"]["query"] == (
        'service:error_ratio{service="checkout"}'
    )
    rollback = checkout["commands"]["rollback"]
    assert rollback["argv"][:3] == ["/usr/bin/python3", "-m", "demo.shop"]
    assert rollback["argv"][-2:] == ["--release", "{release}"]
    assert rollback["cwd"] == "/repo"
    assert rollback["honours_key"] is True


def test_muster_config_has_customers_and_ways_to_reach_them(tmp_path: Path) -> None:
    """The catalogue has the database, the outlets and leave to look accounts up over HTTP."""
    world = ServicesFile.model_validate(yaml.safe_load(muster_config(INFO, tmp_path).read_text()))

    customers = world.databases["customers"]
    assert (customers.path, customers.tables) == ("/shop/customers.sqlite", TABLES)
    assert world.http.allow_hosts == ("127.0.0.1:1004",)
    assert {name: (one.url, one.honours_key) for name, one in world.outlets.items()} == {
        "status-page": ("http://127.0.0.1:1004/status", True),
        "customer-mail": ("http://127.0.0.1:1004/mailbox", True),
        "customer-notice": ("http://127.0.0.1:1004/mailbox", True),
    }


def test_prometheus_config(tmp_path: Path) -> None:
    """A real Prometheus gets both targets, the shop's rules and a receiver with the token."""
    path = write_prometheus_config(
        tmp_path, INFO, "http://127.0.0.1:8080/webhooks/alertmanager", tmp_path / "token"
    )

    prometheus = yaml.safe_load(path.read_text(encoding="utf-8"))
    targets = [job["static_configs"][0]["targets"] for job in prometheus["scrape_configs"]]
    assert targets == [["127.0.0.1:1001"], ["127.0.0.1:1002"]]
    assert prometheus["global"]["scrape_interval"] == "1s"
    rules = yaml.safe_load((tmp_path / "rules.yml").read_text(encoding="utf-8"))
    assert rules == {"groups": rule_groups(is_touchy=False)}
    alertmanager = yaml.safe_load((tmp_path / "alertmanager.yml").read_text(encoding="utf-8"))
    (webhook,) = alertmanager["receivers"][0]["webhook_configs"]
    assert webhook["http_config"]["authorization"]["credentials_file"] == str(tmp_path / "token")


def test_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    """A directory with other files in it is refused."""
    (tmp_path / "thesis.txt").touch()

    with pytest.raises(DirectoryInUseError, match="choose another"):
        Layout(tmp_path).claim()


def test_no_shop_no_info(tmp_path: Path) -> None:
    """Where no shop runs, the error says how to start one."""
    with pytest.raises(ShopNotRunningError, match="start one with"):
        ShopInfo.load(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "text"),
    [
        (["rollback", "--service", "checkout", "--release", "abcdef1"], 4, "no shop runs"),
        (["rollback", "--service", "checkout", "--release", "x;y"], 2, "hexadecimal"),
        (["restart", "--service", "../checkout"], 2, "invalid choice"),
        (["start", "--fault", "meteor"], 2, "slow-payments"),
        (["start", "--webhook-token-env", "NO_SUCH_TOKEN"], 2, "is not set"),
        (["start", "--webhook", "ftp://x"], 2, "http://"),
    ],
)
def test_command_line_errors(
    arguments: list[str],
    exit_code: int,
    text: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A command that cannot work ends with one line and a code that says why."""
    command, *rest = arguments
    try:
        code = main([command, "--dir", str(tmp_path), *rest])
    except SystemExit as error:
        code = int(error.code or 0)

    message = capsys.readouterr().err
    assert code == exit_code
    assert text in message
    assert message.count("\n") == 1
