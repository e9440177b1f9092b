"""Names of workflow executions, which Step Functions lets nobody use twice within 90 days."""

import hashlib
from typing import Final

MOST_EXECUTIONS: Final = 20
"""How many executions one subject has at most."""


def execution_name(subject: str, number: int) -> str:
    """Return the name of a subject's execution; ``number`` counts them from 1.

    The first one is called like the subject, a payment or a batch. The next ones have longer names
    than any id, so none can take another subject's name, and no character that CloudWatch Logs
    would not take: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    if number == 1:
        return subject
    return f"restart-{number:02}-{hashlib.sha256(subject.encode()).hexdigest()}"


def died(execution: str) -> str:
    """Return the subject of the execution that ends what another one, which died, left open."""
    return f"died-{hashlib.sha256(execution.encode()).hexdigest()}"
