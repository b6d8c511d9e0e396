"""Looks services up in the configured world, with errors that name what there is."""

from __future__ import annotations

from agents.tool import ToolContext, ToolRetry
from config.specs import Indicator, ServiceSpec


def service(context: ToolContext, name: str) -> ServiceSpec:
    """Return the service; ToolRetry names the known ones."""
    found = context.world.services.get(name)
    if found is None:
        known = ", ".join(sorted(context.world.services)) or "none; add it to services.yaml"
        raise ToolRetry(f"there is no service {name!r}; known services: {known}")
    return found


def indicator(context: ToolContext, service_name: str, name: str) -> Indicator:
    """Return a service's indicator; ToolRetry names the known ones."""
    indicators = service(context, service_name).metrics.indicators
    if name not in indicators:
        known = ", ".join(indicators) or "none; add it to services.yaml"
        raise ToolRetry(f"{service_name} has no indicator {name!r}; it has: {known}")
    return indicators[name]


def with_dependencies(context: ToolContext, name: str) -> list[str]:
    """Return the service and all it depends on, nearest first; unknown ones are left out."""
    service(context, name)
    found = [name]
    for current in found:  # grows while it is read: breadth first
        for needed in context.world.services[current].depends_on:
            if needed in context.world.services and needed not in found:
                found.append(needed)
    return found


def unknown_dependencies(context: ToolContext, names: list[str]) -> list[str]:
    """Return a sentence for each dependency that is named but not configured."""
    return [
        f"{name} depends on {needed}, which services.yaml does not describe"
        for name in names
        for needed in context.world.services[name].depends_on
        if needed not in context.world.services
    ]
