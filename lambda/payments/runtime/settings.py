"""The environment variables of each function."""

import os
from typing import Final

from payments.core.review import ReviewLimits

_POWERTOOLS: Final = frozenset(
    {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}
)

_TABLES: Final = frozenset(
    {
        "PAYMENTS_TABLE",
        "PROCESSING_STATUS_TABLE",
        "AUDIT_LOGS_TABLE",
        "PAYMENT_OPERATIONS_TABLE",
    }
)

_REVIEW: Final = frozenset({"REVIEW_ABOVE"})

_QUEUES: Final = frozenset({"PAYMENT_EVENTS_QUEUE_URL", "PAYMENT_ROWS_QUEUE_URL"})

SETTINGS: Final[dict[str, frozenset[str]]] = {
    "api-handler": _POWERTOOLS | _TABLES | _QUEUES | _REVIEW | {"PAYMENT_PROCESSOR"},
    "batch-processor": _POWERTOOLS
    | {
        "PAYMENT_PROCESSOR",
        "PAYMENTS_TABLE",
        "PROCESSING_STATUS_TABLE",
        "PAYMENT_OPERATIONS_TABLE",
        "PAYMENT_ROWS_QUEUE_URL",
        "BATCH_RESULTS_BUCKET",
        "BATCH_WORKFLOW_ARN",
    },
    "payment-processor": _POWERTOOLS
    | _TABLES
    | _QUEUES
    | _REVIEW
    | {"PAYMENT_EVENTS_DLQ_URL", "PAYMENT_PROCESSOR", "PAYMENT_WORKFLOW_ARN"},
    "event-publisher": _POWERTOOLS | {"NOTIFICATIONS_TOPIC_ARN", "ANNOUNCEMENTS_DLQ_URL"},
}
"""The environment variables that each function reads; the stack sets exactly these."""

STRIPE_SETTINGS: Final[dict[str, frozenset[str]]] = {
    "payment-processor": frozenset(
        {"ENVIRONMENT_SUFFIX", "PROCESSOR_KEY_ARN", "PROCESSOR_MODE", "PROCESSOR_RATE"}
    ),
}
"""The variables that a function reads besides, where Stripe is the processor."""


def optional_setting(name: str) -> str | None:
    """Return an environment variable that the stack sets only where it is configured."""
    return os.environ.get(name)


def setting(name: str) -> str:
    """Return an environment variable that the stack has set."""
    return os.environ[name]


def review_limits() -> ReviewLimits:
    """Return above which amounts a payment waits for a second person.

    Raises:
        ValueError: the setting is malformed. The function does not start, so nothing is charged.
    """
    return ReviewLimits.read(setting("REVIEW_ABOVE"))
