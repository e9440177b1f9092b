"""Every path of the payment workflow, in a second interpreter."""

import json
import time
from typing import Any

import pytest

from lib.workflows import payment
from tests.unit.workflows.interpreter import (
    ARNS,
    FUNCTION,
    Answer,
    Outcome,
    World,
    arn,
    raised,
    refused,
    run,
)

INPUT = {"payment_id": "pay_1", "correlation_id": "request-1"}
COMPLETED = {"payment_id": "pay_1", "status": "COMPLETED"}
FAILED = {"payment_id": "pay_1", "status": "FAILED"}
DEFINITION = json.loads(json.dumps(payment.definition(FUNCTION, ARNS)))

UNKNOWN = raised("GatewayUnavailable")
BUSY = raised("GatewayBusy")


def carried(charge: list[Answer], settle: list[Answer] | None = None) -> tuple[Outcome, World]:
    world = World({"charge": charge, "settle": settle or [raised("NobodyMaySettle")]})
    return run(DEFINITION, INPUT, world), world


def succeeded(output: dict[str, Any]) -> Outcome:
    return Outcome(status="SUCCEEDED", output=output)


@pytest.mark.parametrize("answer", [COMPLETED, FAILED])
def test_a_charge_with_an_outcome_ends_the_workflow(answer: dict[str, Any]) -> None:
    """A declined payment is a success of the workflow."""
    outcome, world = carried([answer])
    assert outcome == succeeded(answer)
    assert world.calls == [
        {
            "action": "charge",
            **INPUT,
            "execution_arn": arn("states", "execution:workflow:one"),
            "attempt": 0,
        }
    ]
    assert world.waited == []


@pytest.mark.parametrize("times", [1, 6])
def test_an_unknown_outcome_is_asked_for_again(times: int) -> None:
    outcome, world = carried([*[UNKNOWN] * times, COMPLETED])
    assert outcome == succeeded(COMPLETED)
    assert [call["attempt"] for call in world.of("charge")] == list(range(times + 1))
    assert world.of("settle") == []
    assert world.waited == [2, 4, 8, 16, 32, 60][:times]


@pytest.mark.parametrize("answer", [COMPLETED, FAILED])
def test_an_outcome_that_stays_unknown_is_settled(answer: dict[str, Any]) -> None:
    outcome, world = carried([UNKNOWN], [answer])
    assert outcome == succeeded(answer)
    assert len(world.of("charge")) == 7
    assert world.of("settle") == [
        {**INPUT, "execution_arn": arn("states", "execution:workflow:one"), "attempt": 0}
    ]


# error: its first wait and its longest, in seconds
ENDLESS = {
    "GatewayBusy": (5, 300),
    "GatewayRefused": (60, 900),
    "ChargePending": (60, 3600),
    "ServiceUnavailable": (5, 300),
    "KeyError": (5, 300),
    "Lambda.TooManyRequestsException": (2, 300),
    "Lambda.ServiceException": (2, 300),
    "Lambda.AWSLambdaException": (2, 300),
    "Lambda.SdkClientException": (2, 300),
    "Lambda.ClientExecutionTimeoutException": (2, 300),
    "Lambda.ResourceNotFoundException": (5, 300),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_is_no_unknown_outcome_is_tried_for_as_long_as_it_takes_and_never_settled(
    name: str,
) -> None:
    (first, longest), code = ENDLESS[name], name.removeprefix("Lambda.")
    error = raised(name) if code == name else refused(code)
    outcome, world = carried([*[error] * 14, COMPLETED])
    assert outcome == succeeded(COMPLETED)
    assert [call["attempt"] for call in world.of("charge")] == list(range(15))
    assert world.of("settle") == []
    assert world.waited == [min(first * 2**attempt, longest) for attempt in range(14)]


def test_our_own_failures_do_not_use_up_the_tries_of_an_unknown_outcome() -> None:
    """Each kind of error counts for itself."""
    throttled = refused("TooManyRequestsException")
    outcome, world = carried([*[UNKNOWN, BUSY, throttled, throttled] * 6, COMPLETED])
    assert outcome == succeeded(COMPLETED)
    assert len(world.of("charge")) == 25
    assert world.of("settle") == []


@pytest.mark.parametrize("before", [[], [UNKNOWN, BUSY]])
def test_a_payment_that_is_not_there_fails_the_workflow_without_another_try(
    before: list[Answer],
) -> None:
    outcome, world = carried([*before, raised("PaymentNotFound"), COMPLETED])
    assert (outcome.status, outcome.error) == ("FAILED", "PaymentNotFound")
    assert len(world.of("charge")) == len(before) + 1
    assert world.of("settle") == []


@pytest.mark.parametrize(
    "error", [UNKNOWN, BUSY, raised("ServiceUnavailable"), refused("TooManyRequestsException")]
)
def test_settling_goes_on_until_there_is_an_outcome(error: Exception) -> None:
    outcome, world = carried([UNKNOWN], [*[error] * 14, FAILED])
    assert outcome == succeeded(FAILED)
    assert [call["attempt"] for call in world.of("settle")] == list(range(15))
    assert world.waited[6:] == [min(5 * 2**attempt, 300) for attempt in range(14)]


def test_settling_a_payment_that_is_not_there_fails_the_workflow() -> None:
    outcome, world = carried([UNKNOWN], [raised("PaymentNotFound")])
    assert (outcome.status, outcome.error) == ("FAILED", "PaymentNotFound")
    assert len(world.of("settle")) == 1


def test_a_function_that_does_not_answer_in_time_is_asked_again_and_never_settled() -> None:
    """Its time is a second here, a minute in the stack."""
    hasty = json.loads(json.dumps(DEFINITION))
    hasty["States"]["Charge"]["TimeoutSeconds"] = 1

    def late() -> dict[str, Any]:
        time.sleep(1.5)
        return COMPLETED

    world = World({"charge": [late, FAILED], "settle": [raised("NobodyMaySettle")]})
    assert run(hasty, INPUT, world) == succeeded(FAILED)
    assert world.actions == ["charge"]
    assert world.waited == [5]
