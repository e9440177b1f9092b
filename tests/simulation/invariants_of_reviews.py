"""What must be true of four eyes after a run has drained."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from payments.core.audit import AuditRecord
from payments.core.payment import PaymentStatus

if TYPE_CHECKING:
    from tests.simulation.actors import Answer
    from tests.simulation.asks import Ask
    from tests.simulation.world import World


def what_needs_a_review_is_charged_after_it(world: "World") -> Iterator[str]:
    """Above the limit, nothing is bound to the processor before somebody else has approved it."""
    for payment_id, trail in world.end.audit.items():
        above = world.review_above
        if above is None or trail[0]["amount_minor"] <= above:
            if any(record["kind"] == "review" for record in trail):
                yield f"{payment_id} was reviewed and needs none"
            continue
        approved = False
        for record in trail:
            approved = approved or (record["kind"], record["to"]) == ("review", "approved")
            if record["kind"] == "payment" and record["to"] == "PROCESSING" and not approved:
                yield f"{payment_id} was charged, and nobody had approved it"
        is_charged = bool(world.end.payments[payment_id].amounts.authorized)
        if is_charged and not approved:
            yield f"{payment_id} was charged without a decision"


def one_decision_by_somebody_else(world: "World") -> Iterator[str]:
    """A payment has one decision at most, of a person who did not submit it, and it stands."""
    for payment_id, trail in world.end.audit.items():
        decisions = [record for record in trail if record["kind"] == "review"]
        if len(decisions) > 1:
            yield f"{payment_id} was decided {len(decisions)} times"
        for decision in decisions:
            if _is_one_person(trail[0], decision):
                yield f"{payment_id} was decided by who submitted it: {decision}"
            status = world.end.payments[payment_id].status
            refused = {PaymentStatus.FAILED, PaymentStatus.CANCELED}
            if decision["to"] == "rejected" and status not in refused:
                yield f"{payment_id} was rejected and is {status}"


def _is_one_person(submitted: AuditRecord, decided: AuditRecord) -> bool:
    if "submitter_id" not in submitted:
        return False
    return bool(
        submitted["submitter_id"] == decided["reviewer_id"]
        or submitted["submitter_name"] == decided["reviewer_name"]
    )


def reviews_end(world: "World") -> Iterator[str]:
    """No payment waits for a person for ever."""
    for payment in world.end.payments.values():
        if payment.status is PaymentStatus.IN_REVIEW:
            yield f"{payment.payment_id} stays in review"


def decisions_are_answered_right(world: "World") -> Iterator[str]:
    """Who was answered 200 has decided, and who is refused is refused for what is so."""
    took: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for ask, answer in world.clients.observations.asked:
        if ask.verb != "review":
            continue
        if answer.status == 200 and ask.by is not None:
            took[ask.payment_id].add((ask.by.user, json.loads(ask.body)["decision"]))
        elif not _may_be_refused(world, ask, answer):
            yield f"{ask} was answered {answer}"
    for payment_id, decisions in took.items():
        stored = [
            (record["reviewer_id"], _DECISIONS[record["to"]])
            for record in world.end.audit[payment_id]
            if record["kind"] == "review"
        ]
        if sorted(decisions) != stored:
            yield f"{payment_id}: {sorted(decisions)} were told to have decided, stored is {stored}"


_DECISIONS: Final = {"approved": "approve", "rejected": "reject"}


def _may_be_refused(world: "World", ask: "Ask", answer: "Answer") -> bool:
    problem = str(answer.body.get("type", "")).rpartition(":")[2]
    if ask.by is None:
        return (answer.status, problem) == (403, "unknown-caller")
    match answer.status, problem:
        case 403, "own-payment":
            first = world.end.audit[ask.payment_id][0]
            name = ask.by.user.partition(":")[2] or ask.by.arn.rpartition("/")[2]
            mine = (ask.by.user, name.lower())
            return bool(mine[0] == first["submitter_id"] or mine[1] == first["submitter_name"])
        case (404, "payment-not-found") | (409, "not-in-review" | "review-decided"):
            return True
    return False


CHECKS: Final = (
    what_needs_a_review_is_charged_after_it,
    one_decision_by_somebody_else,
    reviews_end,
    decisions_are_answered_right,
)
