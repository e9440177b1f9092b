"""What is authorised, captured and refunded of a payment, and what is left to do."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Sums of one payment in minor units of its currency.

    An operation reserves its amount before anybody asks the processor. So two operations that
    together exceed what is left cannot both be accepted. What is left is stored and not derived,
    because a condition of DynamoDB can compare attributes but cannot calculate. After each write:

    - ``authorized = captured + captures_pending + capturable + releases_pending + released``
    - ``captured = refunded + refunds_pending + refundable``

    A final capture releases the rest. A cancellation releases everything that is capturable.
    """

    authorized: int = 0
    captured: int = 0
    captures_pending: int = 0
    capturable: int = 0
    releases_pending: int = 0
    released: int = 0
    refunded: int = 0
    refunds_pending: int = 0
    refundable: int = 0

    def __post_init__(self) -> None:
        """Refuse sums that cannot be.

        Raises:
            ValueError: one is negative, or they do not add up.
        """
        sums = asdict(self)
        held = self.captures_pending + self.capturable + self.releases_pending + self.released
        if (
            min(sums.values()) < 0
            or self.authorized != self.captured + held
            or self.captured != self.refunded + self.refunds_pending + self.refundable
        ):
            raise ValueError(f"amounts do not add up: {sums}")

    @classmethod
    def charged(cls, amount: int) -> Self:
        """Return the sums of a payment that was charged whole."""
        return cls(authorized=amount, captured=amount, refundable=amount)

    @classmethod
    def held(cls, amount: int) -> Self:
        """Return the sums of a payment that is authorised and not captured yet."""
        return cls(authorized=amount, capturable=amount)

    def to_dict(self) -> dict[str, Any]:
        """Return the sums as they are stored, such as ``captured_minor``."""
        return {f"{name}_minor": value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Self:
        """Read what :meth:`to_dict` returned, among other fields."""
        return cls(**{each.name: document[f"{each.name}_minor"] for each in fields(cls)})

    # --- refunds

    def refund_requested(self, amount: int) -> Self:
        """Reserve an amount to refund."""
        return self._moved(refundable=-amount, refunds_pending=amount)

    def refund_completed(self, amount: int) -> Self:
        """Count a reserved amount as refunded."""
        return self._moved(refunds_pending=-amount, refunded=amount)

    def refund_failed(self, amount: int) -> Self:
        """Give back what was reserved for a refund that certainly did not happen."""
        return self._moved(refunds_pending=-amount, refundable=amount)

    def refund_returned(self, amount: int) -> Self:
        """Take back a refund that the processor undid after it had completed."""
        return self._moved(refunded=-amount, refundable=amount)

    # --- captures and cancellations

    def capture_requested(self, amount: int, rest: int) -> Self:
        """Reserve an amount to capture, and the rest that the capture will release."""
        return self._moved(
            capturable=-amount - rest, captures_pending=amount, releases_pending=rest
        )

    def capture_completed(self, amount: int, rest: int) -> Self:
        """Count a reserved amount as captured and its rest as released."""
        return self._moved(
            captures_pending=-amount,
            captured=amount,
            refundable=amount,
            releases_pending=-rest,
            released=rest,
        )

    def capture_failed(self, amount: int, rest: int) -> Self:
        """Give back what was reserved for a capture that certainly did not happen."""
        return self._moved(
            captures_pending=-amount, releases_pending=-rest, capturable=amount + rest
        )

    def _moved(self, **by: int) -> Self:
        return replace(self, **{name: getattr(self, name) + value for name, value in by.items()})
