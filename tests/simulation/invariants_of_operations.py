"""What must be true of refunds, captures and cancellations after a run has drained."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from payments.core.money import EXPONENTS
from payments.core.operation import OperationKind, OperationRef, OperationStatus
from payments.core.payment import PaymentStatus
from payments.flows.performing import ALREADY_CAPTURED
from payments.gateways.sandbox_operations import TROUBLED_OPERATIONS, OperationTrouble
from tests.simulation.asks import Ask

if TYPE_CHECKING:
    from tests.simulation.actors import Answer
    from tests.simulation.gateway import Effect
    from tests.simulation.world import World

_BY_THE_PROCESSOR: Final = "at.the.processor"


def operations_are_answered_once(world: "World") -> Iterator[str]:
    """One 202 for each operation, a conflict only for another request, and no surprises."""
    created: Counter[OperationRef] = Counter()
    accepted: dict[OperationRef, set[Any]] = defaultdict(set)
    for ask, answer in _asked(world):
        if answer.status in {200, 202}:
            which = _ref_of(ask, answer)
            created[which] += answer.status == 202
            accepted[which].add(ask.meaning)
            yield from _misfits(world, which, ask, answer)
        elif not _may_be_refused(world, ask, answer):
            yield f"{ask.payment_id} {ask.verb} {ask.body} was answered {answer}"
    for which, times in created.items():
        if times > 1:
            yield f"{which} was answered 202 {times} times"
    for which, meanings in accepted.items():
        if len(meanings) > 1 and which.kind is not OperationKind.CANCEL:
            yield f"{which} was accepted with several meanings: {sorted(meanings, key=repr)}"
    yield from _false_conflicts(world, accepted)


def _false_conflicts(world: "World", accepted: dict[OperationRef, set[Any]]) -> Iterator[str]:
    meanings: dict[tuple[str, str, str | None], set[Any]] = defaultdict(set)
    for ask in world.scenario.asks:
        meanings[ask.payment_id, ask.kind, ask.operation_id].add(ask.meaning)
    for ask, answer in _asked(world):
        if answer.status != 409 or _problem(answer) not in _CONFLICTS:
            continue
        which = _ref_of(ask, answer)
        if ask.meaning in accepted[which] or len(meanings[which]) < 2:
            yield f"{which} was a conflict as {ask.body}, and nobody asked otherwise"


_CONFLICTS: Final = {"refund-conflict", "capture-conflict"}
_NOT_ALLOWED: Final = {"not-refundable", "not-capturable", "not-cancelable"}


def _problem(answer: "Answer") -> str:
    return str(answer.body["type"]).rpartition(":")[2]


def _may_be_refused(world: "World", ask: Ask, answer: "Answer") -> bool:
    match answer.status:
        case 404:
            return _problem(answer) == "payment-not-found"
        case 409:
            return _problem(answer) in _CONFLICTS | _NOT_ALLOWED
        case 400:
            # Its payment has another currency than its client thinks: a rival was faster.
            amount = str(json.loads(ask.body).get("amount", ""))
            payment = world.end.payments[ask.payment_id]
            fields = {error["field"] for error in answer.body["errors"]}
            decimals = len(amount.partition(".")[2])
            return fields == {"amount"} and decimals != payment.content.exponent
    return False


def _misfits(world: "World", which: OperationRef, ask: Ask, answer: "Answer") -> Iterator[str]:
    operation = world.end.operations.get(which)
    if operation is None:
        yield f"{which} was answered {answer.status} and is lost"
        return
    if answer.body["amount_minor"] != operation.amount_minor:
        yield f"{which} was answered with {answer.body}, stored is {operation}"
    wanted = json.loads(ask.body).get("amount")
    if wanted is not None and float(wanted) != float(answer.body["amount"]):
        yield f"{which} was asked for {wanted} and accepted for {answer.body['amount']}"


def _asked(world: "World") -> Iterator[tuple[Ask, "Answer"]]:
    for ask, answer in world.clients.observations.asked:
        if ask.verb != "review":
            yield ask, answer


def _ref_of(ask: Ask, answer: "Answer") -> OperationRef:
    shown: dict[str, Any] = answer.body.get("operation", answer.body)
    return OperationRef(ask.payment_id, OperationKind(ask.kind), shown["operation_id"])


def asked_and_answered(world: "World") -> set[OperationRef]:
    """Return the operations of which somebody was told that they were accepted."""
    return {_ref_of(ask, each) for ask, each in _asked(world) if each.status in {200, 202}}


def operations_end(world: "World") -> Iterator[str]:
    """Every operation has its outcome, and no authorisation is left to wait for ever."""
    yield from world.kept_waiting
    for operation in world.end.operations.values():
        if operation.status.is_open:
            yield f"{operation.ref} stays {operation.status}"
    for payment in world.end.payments.values():
        if world.has_operations and payment.status is PaymentStatus.AUTHORIZED:
            yield f"{payment.payment_id} stays AUTHORIZED"


def operations_have_one_effect(world: "World") -> Iterator[str]:
    """The processor carried out each operation once at most, and nothing that nobody asked for."""
    names = {operation.name: operation.ref for operation in world.end.operations.values()}
    for name, effects in _done(world).items():
        if name not in names:
            yield f"the processor carried out {effects}, which nobody asked for"
        elif len(effects) > 1:
            yield f"{names[name]} was carried out {len(effects)} times"


def operations_end_as_the_processor_says(world: "World") -> Iterator[str]:
    """Completed and done are the same operations and amounts; failed is what was refused or undone."""
    gateway, done = world.gateway, _done(world)
    if gateway is None:
        yield from _sent_back_in_the_sandbox(world)
        return
    for operation in world.end.operations.values():
        if operation.kind is OperationKind.CANCEL or operation.operation_id == _BY_THE_PROCESSOR:
            continue
        stands = [each for each in done[operation.name] if not gateway.sent_back(each)]
        amounts = [each.amount_minor for each in stands]
        is_done = operation.status is OperationStatus.COMPLETED
        if amounts != [operation.amount_minor] * is_done:
            yield f"{operation.ref} is {operation.status}, at the processor {done[operation.name]}"
        elif not done[operation.name] and operation.name not in gateway.refused:
            yield f"{operation.ref} failed, and the processor has not refused it"


def _sent_back_in_the_sandbox(world: "World") -> Iterator[str]:
    for operation in world.end.operations.values():
        stands = (operation.kind, operation.status)
        trouble = TROUBLED_OPERATIONS.get(operation.amount_minor)
        if stands == _REFUNDED and trouble is OperationTrouble.RETURNED:
            yield f"{operation.ref} is COMPLETED, at the processor it was sent back"


_REFUNDED: Final = (OperationKind.REFUND, OperationStatus.COMPLETED)


def sums_are_the_processors(world: "World") -> Iterator[str]:
    """What is authorised, captured and refunded of each payment is so at the processor."""
    gateway = world.gateway
    if gateway is None:
        return
    for payment_id, held in gateway.held.items():
        amounts = world.end.payments[payment_id].amounts
        found = (amounts.authorized, amounts.captured, amounts.refunded)
        right = (held.authorized, held.captured, gateway.refunded(payment_id))
        if found != right:
            yield f"{payment_id}: authorised, captured, refunded are {found}, there {right}"


def _done(world: "World") -> dict[str, list["Effect"]]:
    done: dict[str, list[Effect]] = defaultdict(list)
    for effect in world.gateway.effects if world.gateway else ():
        done[effect.name].append(effect)
    return done


def cancellations_end_as_they_say(world: "World") -> Iterator[str]:
    """A cancellation completes with its payment CANCELED or captured in part, or is recorded why not."""
    for operation in world.end.operations.values():
        if operation.kind is not OperationKind.CANCEL:
            continue
        payment = world.end.payments[operation.payment_id]
        if operation.status is OperationStatus.COMPLETED and not (
            payment.status is PaymentStatus.CANCELED or payment.amounts.captured
        ):
            yield f"{operation.ref} is COMPLETED, and its payment {payment.status}"
        if operation.status is OperationStatus.FAILED and operation.failure != ALREADY_CAPTURED:
            yield f"{operation.ref} failed: {operation.failure}"


def operations_are_counted_once(world: "World") -> Iterator[str]:
    """Metrics never count a status of an operation twice."""
    for (which, status), times in world.operations_counted.items():
        if times > 1:
            yield f"{which} was counted {times} times as {status}"


def readers_see_amounts_that_can_be(world: "World") -> Iterator[str]:
    """Every answer of GET has amounts that add up, in the currency's own decimals."""
    for payment_id, answers in world.clients.observations.seen.items():
        for body in answers:
            exponent = EXPONENTS[body["currency"]]
            sums = {name: round(float(v) * 10**exponent) for name, v in body["amounts"].items()}
            refunded = sums["refunded"] + sums["refunds_pending"]
            if not 0 <= refunded <= sums["captured"] <= sums["authorized"]:
                yield f"{payment_id} was shown with {body['amounts']}"


CHECKS: Final = (
    operations_are_answered_once,
    operations_end,
    operations_have_one_effect,
    operations_end_as_the_processor_says,
    sums_are_the_processors,
    cancellations_end_as_they_say,
    operations_are_counted_once,
    readers_see_amounts_that_can_be,
)
