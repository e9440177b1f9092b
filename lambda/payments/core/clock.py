"""The time, as it is stored."""

from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time now: UTC, ISO 8601, microseconds."""
    return utc_text(datetime.now(UTC))


def utc_text(moment: datetime) -> str:
    """Write a time (UTC) as all times are stored, so that they sort as text."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
