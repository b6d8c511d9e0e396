"""The files for containers keep their promises; nothing here can build or run them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.cli.app import app
from config.settings import Settings, unclaimed, variable

ROOT = Path(__file__).parents[2]
SECRETS = {variable(name) for name in ("secret_key", "redis_url", "token", "sentry_dsn")}
SHIPPED_TOKEN = "MUSTER_WEBHOOK_TOKEN"
"""The variable that the shipped sources.yaml names as token_env."""
PACKAGES = ("config", "agents", "jobs", "bot", "demo")


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions and their arguments, lines joined."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.split("\n"))]


def last_stage() -> dict[str, str]:
    """Return the last value of each instruction of the stage that is shipped."""
    found = instructions()
    start = max(number for number, (word, _) in enumerate(found) if word == "FROM")
    return dict(found[start:])


def compose() -> dict[str, Any]:
    """Return the Compose file."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    return loaded


def kubernetes(kind: str) -> list[dict[str, Any]]:
    """Return the Kubernetes objects of a kind."""
    found = yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text())
    return [one for one in found if one["kind"] == kind]


def containers() -> Iterator[dict[str, Any]]:
    """Find every container of the Kubernetes deployments."""
    for deployment in kubernetes("Deployment"):
        yield from deployment["spec"]["template"]["spec"]["containers"]


def given_variables() -> dict[str, set[str]]:
    """Return the MUSTER_* variables that each file sets."""
    services = compose()["services"].values()
    env = re.findall(r"\b(MUSTER_\w+)=", last_stage()["ENV"])
    manifest = (ROOT / "deploy/kubernetes.yaml").read_text()
    return {
        "Dockerfile": set(env),
        "compose.yaml": {name for one in services for name in one.get("environment", {})},
        "kubernetes.yaml": {item["name"] for one in containers() for item in one["env"]}
        | set(re.findall(r"--from-literal=(MUSTER_\w+)", manifest)),
    }


def test_the_image_runs_as_nobody_special() -> None:
    """The last stage gives up root, by number so that Kubernetes can tell, and checks itself."""
    stage = last_stage()

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", stage["USER"])
    assert "/healthz" in stage["HEALTHCHECK"]
    assert stage["ENTRYPOINT"] == '["python", "-m", "bot"]'
    assert stage["CMD"] == '["up"]'
    assert stage["VOLUME"] in stage["ENV"].partition("MUSTER_STATE_DIR=")[2]


def test_the_image_is_built_in_two_stages_from_the_pins() -> None:
    """Packages come from the lock alone, and the tools that install them stay behind."""
    found = instructions()

    assert [word for word, _ in found].count("FROM") == 2
    installs = [rest for word, rest in found if word == "RUN" and " pip install" in rest]
    assert len(installs) == 1
    assert "--no-deps -r requirements.lock" in installs[0]


def test_the_image_has_every_package_and_no_state() -> None:
    """What the Dockerfile copies exists, and the build sees nothing but that."""
    sources = [rest.split()[0] for word, rest in instructions() if word == "COPY"]
    copied = {source for source in sources if not source.startswith("--")}
    let_in = set(re.findall(r"^!([\w.]+)", (ROOT / ".dockerignore").read_text(), re.M))

    assert set(PACKAGES) < copied
    assert copied == let_in
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml", "kubernetes.yaml"])
def test_every_variable_is_one_that_is_read(file: str) -> None:
    """A variable with a typing mistake would be ignored in silence."""
    names = given_variables()[file]

    assert names
    assert unclaimed(dict.fromkeys(names, "x"), claimed=[SHIPPED_TOKEN]) == []


def test_no_secret_is_written_down() -> None:
    """Secrets come from the environment of Compose and from a Kubernetes Secret."""
    services = compose()["services"].values()
    written = {n: v for one in services for n, v in one.get("environment", {}).items()}
    by_value = {item["name"] for one in containers() for item in one["env"] if "value" in item}

    for name in SECRETS & written.keys() - {variable("redis_url")}:
        assert written[name].startswith("${"), name
    assert "@" not in written[variable("redis_url")]
    assert by_value & SECRETS == set()


def test_commands_exist_and_workers_may_drain() -> None:
    """Each container runs a command there is; one that drains is given the time for it."""
    known = {
        info.name or info.callback.__name__ for info in app.registered_commands if info.callback
    }
    services = compose()["services"]
    ran = {services[name]["command"][0] for name in ("bot", "worker")}
    ran |= {container["args"][0] for container in containers()}
    worker = next(
        one for one in kubernetes("Deployment") if one["metadata"]["name"] == "muster-worker"
    )

    assert ran == {"serve", "worker"}
    assert ran <= known
    drain_s = Settings.model_fields["drain_s"].default
    assert int(services["worker"]["stop_grace_period"].removesuffix("s")) > drain_s
    assert worker["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > drain_s


def test_kubernetes_asks_the_right_doors() -> None:
    """Alive is not ready: the bot has a probe for each; selectors find what they should."""
    (bot,) = [one for one in containers() if one["name"] == "bot"]
    (service,) = kubernetes("Service")
    by_name = {one["metadata"]["name"]: one["spec"] for one in kubernetes("Deployment")}

    assert bot["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert bot["readinessProbe"]["httpGet"]["path"] == "/readyz"
    for spec in by_name.values():
        pod = spec["template"]["spec"]
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert {m["name"] for c in pod["containers"] for m in c["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }
    assert service["spec"]["selector"] == by_name["muster-bot"]["selector"]["matchLabels"]


def test_the_store_keeps_what_it_acknowledges() -> None:
    """The Valkey of Compose writes each change to its disk and evicts nothing."""
    command = " ".join(compose()["services"]["redis"]["command"])

    assert "--appendonly yes" in command
    assert "--appendfsync always" in command
    assert "--maxmemory-policy noeviction" in command
