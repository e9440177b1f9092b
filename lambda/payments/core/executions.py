"""Executions of workflows: their names, which nobody can use twice within 90 days, and their input."""

import hashlib
from typing import Final, Literal, TypedDict


class PaymentInput(TypedDict):
    """What an execution of the payment workflow starts with."""

    payment_id: str
    correlation_id: str


class OperationInput(PaymentInput):
    """What it starts with if it is about an operation on the payment, by kind and id."""

    operation: str
    operation_id: str


class ChargeStep(PaymentInput):
    """A step about the payment; ``attempt`` counts its retries from 0."""

    action: Literal["charge", "settle"]
    execution_arn: str
    attempt: int


class PerformStep(OperationInput):
    """A step about the operation; ``attempt`` counts its retries from 0."""

    action: Literal["perform"]
    execution_arn: str
    attempt: int


class StepAnswer(TypedDict):
    """The answer of a step; ``status`` is the payment's or the operation's."""

    payment_id: str
    status: str


MOST_EXECUTIONS: Final = 20
"""How many executions one subject has at most."""


def execution_name(subject: str, number: int) -> str:
    """Return the name of a subject's execution; ``number`` counts them from 1.

    The first one has the subject's own name, the id of a payment or a batch. Later ones have names
    that are longer than any id, so none can be another subject's name, and only characters that
    CloudWatch Logs takes: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    if number == 1:
        return subject
    return f"restart-{number:02}-{hashlib.sha256(subject.encode()).hexdigest()}"


def died(execution: str) -> str:
    """Return the subject of the execution that ends what one that died has left open."""
    return f"died-{hashlib.sha256(execution.encode()).hexdigest()}"
