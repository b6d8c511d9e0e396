"""Everything that one attempt at one agent's step works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agents.domain import Step
from agents.runbook import CallTool
from agents.tool import Toolbox
from config.specs import AgentSpec, BudgetsSpec, WorkflowSpec
from jobs.asking import Rules
from jobs.journal import StepJournal
from jobs.service import Runs
from jobs.state import Run
from jobs.store import Lease
from jobs.thinking import Thinking


@dataclass(frozen=True, slots=True)
class Workbench:
    """`step` has its expressions worked out; `run` is as it was when the attempt began.

    `call_tool` refuses tools that the agent may not use, recalls what ran before a takeover, and
    raises Suspended when a person has to decide; a denial by policy or a person raises Denied.
    """

    runs: Runs
    rules: Rules
    toolbox: Toolbox
    agents: Mapping[str, AgentSpec]
    workflows: Mapping[str, WorkflowSpec]
    budgets: BudgetsSpec
    run: Run
    step: Step
    agent: AgentSpec
    lease: Lease
    journal: StepJournal
    thinking: Thinking
    call_tool: CallTool
    clock: Callable[[], float]
    deadline: float
    """When the step's time is up, in the time of the event loop."""
