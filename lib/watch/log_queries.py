"""The usual questions to the logs (CloudWatch Logs Insights): on the dashboard and in the runbook."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lib.config import Function


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """One question: its title, the functions whose logs are asked, and the query."""

    title: str
    functions: Sequence[Function]
    query: str


LOG_QUERIES: Final = (
    LogQuery(
        title="Newest errors",
        functions=tuple(Function),
        query=(
            "fields @timestamp, service, payment_id, message, exception_name"
            " | filter level = 'ERROR' | sort @timestamp desc | limit 50"
        ),
    ),
    LogQuery(
        title="Errors by kind",
        functions=tuple(Function),
        query=(
            "filter level = 'ERROR' | stats count(*) as errors by service, exception_name"
            " | sort errors desc"
        ),
    ),
    LogQuery(
        title="Stuck payments",
        functions=(Function.PAYMENT_PROCESSOR,),
        query=(
            "fields @timestamp, payment_id, correlation_id, accepted_at"
            " | filter message = 'payment is stuck' | sort @timestamp desc | limit 50"
        ),
    ),
    LogQuery(
        title="Everything about one payment",
        functions=tuple(Function),
        query=(
            "fields @timestamp, service, message, status, correlation_id, exception_name"
            " | filter payment_id = 'pay_123456' | sort @timestamp asc"
        ),
    ),
)


def insights_text(query: LogQuery, log_groups: Sequence[str]) -> str:
    """Return a query as a dashboard's widget takes it: its log groups, then itself."""
    sources = " | ".join(f"SOURCE '{name}'" for name in log_groups)
    return f"{sources} | {query.query}"
