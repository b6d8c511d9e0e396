"""The alert rules, and the life of an alert."""

from demo.monitor.alerts import (
    AlertBook,
    AlertRule,
    AlertState,
    Phase,
    fingerprint,
    load_rules,
    render,
    step,
)
from demo.monitor.series import Selector, SeriesStore

RULE = AlertRule(
    name="CheckoutErrorRateHigh",
    selector=Selector("service:error_ratio", {"service": "checkout"}),
    threshold=0.1,
    for_s=4.0,
    labels={"severity": "critical"},
    annotations={"summary": "{{ $labels.service }} fails {{ $value | humanizePercentage }}"},
)


def phases(values: list[float | None]) -> list[Phase]:
    """Return the phase after each of one evaluation per second."""
    state = AlertState()
    seen = []
    for now, value in enumerate(values):
        state = step(state, value, RULE, float(now))
        seen.append(state.phase)
    return seen


def test_an_alert_lives_through_its_phases() -> None:
    """Above the threshold it is pending for `for`, then fires until it is below again."""
    values: list[float | None] = [0.0, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.1]

    assert phases(values) == [
        Phase.INACTIVE,
        *[Phase.PENDING] * 4,
        Phase.FIRING,
        Phase.FIRING,
        Phase.INACTIVE,
    ]


def test_a_dip_starts_the_wait_again() -> None:
    """A pending alert that is below the threshold once has to wait from the start."""
    values = [0.3, 0.3, 0.3, 0.0, 0.3, 0.3, 0.3, 0.3]

    assert Phase.FIRING not in phases([*values])


def test_no_value_is_not_above() -> None:
    """A series without a value neither starts an alert nor keeps one firing."""
    assert phases([None, 0.3, None])[-1] is Phase.INACTIVE


def test_states_keep_their_times() -> None:
    """A resolved alert knows when it fired and when it ended."""
    state = AlertState()
    for now, value in enumerate([0.3] * 6 + [0.0]):
        state = step(state, value, RULE, float(now))

    assert (state.fired_at, state.resolved_at) == (4.0, 6.0)


def test_fingerprint_is_alertmanagers() -> None:
    """The fingerprint depends on the labels alone, not on their order, and has 16 hex digits."""
    one = fingerprint({"alertname": "A", "service": "checkout"})

    assert one == fingerprint({"service": "checkout", "alertname": "A"})
    assert one != fingerprint({"alertname": "A", "service": "payments"})
    assert len(one) == 16
    assert fingerprint({}) == "cbf29ce484222325"


def test_book_tells_of_alerts_that_fired() -> None:
    """The book holds an alert from when it fires, with all labels and a filled-in summary."""
    store, book = SeriesStore(), AlertBook([RULE])
    for now in range(6):
        store.add("service:error_ratio", {"service": "checkout"}, float(now), 0.4167)
        book.evaluate(store, float(now))
        if now < 4:
            assert book.alerts() == []

    (alert,) = book.alerts()

    assert alert.is_firing
    assert alert.annotations == {"summary": "checkout fails 41.67%"}
    assert alert.labels == {
        "alertname": "CheckoutErrorRateHigh",
        "service": "checkout",
        "severity": "critical",
    }


def test_touchy_rule_is_only_on_demand() -> None:
    """The shipped rules page for checkout; the touchy one is on only when nothing is wrong."""
    assert [rule.name for rule in load_rules(is_touchy=False)] == ["CheckoutErrorRateHigh"]
    assert [rule.name for rule in load_rules(is_touchy=True)] == [
        "CheckoutErrorRateHigh",
        "CheckoutErrorsSeen",
    ]


def test_render_fills_in_labels_and_value() -> None:
    """The two placeholders of the shop's annotations are known."""
    text = "{{ $labels.service }}: {{ $value | humanizePercentage }}"

    assert render(text, {"service": "checkout"}, 0.25) == "checkout: 25%"
