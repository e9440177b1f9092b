"""What must be true after a run has drained, whatever went wrong in it."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from payments.core.announcements import announcement, describe
from payments.core.audit import KIND, chain_faults
from payments.core.money import EXPONENTS, to_decimal_text
from payments.core.payment import API, Payment, PaymentStatus, RowOutcome
from payments.flows.charge import REVIEW_REJECTED
from payments.flows.sweep import REVIEW_EXPIRED
from payments.gateways.port import CANCELLED, Approved, Declined
from payments.gateways.sandbox import TROUBLED_AMOUNTS, SandboxAmount
from tests.simulation import invariants_of_operations, invariants_of_reviews
from tests.simulation.faults import Fault
from tests.simulation.scenario import POISON_MESSAGES, Content, Upload

if TYPE_CHECKING:
    from payments.batches.batch import Batch
    from payments.batches.progress import BatchProgress
    from tests.simulation.world import World


def violations_of(world: "World") -> list[str]:
    """Return every broken invariant of a drained world, as sentences."""
    checks = (
        _promises_are_kept,
        _rows_are_paid,
        _only_what_was_ordered_is_there,
        _what_is_hopeless_is_set_aside,
        _answers_are_right,
        _charges_match_outcomes,
        _records_agree,
        _nothing_is_rewritten,
        _events_are_announced,
        _events_agree_with_payments,
        _outcomes_are_the_processors,
        _nobody_is_failed_for_our_own_outages,
        _metrics_count_statuses,
        _stuck_payments_are_put_back,
        _money_adds_up,
        _readers_see_time_go_forward,
        _one_execution_at_a_time,
        _failed_batches_are_set_aside,
        _batches_end,
        _batches_are_announced,
        _rows_are_counted,
        _dry_runs_tell_what_is_taken,
        _batches_are_reported,
        _batches_go_forward,
        _books_are_right,
        *invariants_of_operations.CHECKS,
        *invariants_of_reviews.CHECKS,
    )
    return [violation for check in checks for violation in check(world)]


def _promises_are_kept(world: "World") -> Iterator[str]:
    """Every payment answered 202 or 200 is final, with the content it was accepted with."""
    for content, answer in world.clients.observations.accepted:
        payment = world.end.payments.get(content.payment_id)
        if payment is None:
            yield f"{content.payment_id} was answered {answer.status} and is lost"
        elif not payment.status.is_settled:
            yield f"{content.payment_id} was answered {answer.status} and stays {payment.status}"
        elif _content(payment) != content:
            yield f"{content} was answered {answer.status}, stored is {_content(payment)}"


def _rows_are_paid(world: "World") -> Iterator[str]:
    """Every valid row is final, unless its id belongs to other content; only poison is lost."""
    for upload, _ in _readable(world):
        for row in () if upload.is_dry_run else upload.valid_rows.values():
            payment = world.end.payments.get(row.payment_id)
            if payment is None:
                yield f"{row.payment_id} of {upload.key} is lost"
            elif not payment.status.is_settled and _content(payment) == row:
                yield f"{row.payment_id} of {upload.key} stays {payment.status}"
    for payment in world.end.payments.values():
        if payment.source != API and not payment.status.is_settled:
            yield f"{payment.payment_id} of a row stays {payment.status}"
    for body in world.on_call.discarded:
        if body not in POISON_MESSAGES:
            yield f"a message that is no poison ended as a dead letter: {body}"


def _only_what_was_ordered_is_there(world: "World") -> Iterator[str]:
    """Each payment was asked for by a client or by a row that the file really has."""
    asked = {submission.content for submission in world.scenario.submissions}
    for upload, _ in world.uploads.done:
        if not upload.is_dry_run:
            asked.update(upload.valid_rows.values())
    for payment in world.end.payments.values():
        if _content(payment) not in asked:
            yield f"nobody ordered {_content(payment)}"


def _what_is_hopeless_is_set_aside(world: "World") -> Iterator[str]:
    """Functions set aside all that nobody can handle, and nothing else."""
    for body in world.sqs.set_aside:
        if body not in POISON_MESSAGES:
            yield f"a message that can be handled was set aside: {body}"
    if Fault.QUEUE_PURGED in world.faults.struck:
        return
    for _, body in world.scenario.poison:
        if body not in world.on_call.discarded:
            yield f"a message that nobody can handle was never set aside: {body!r}"


def _answers_are_right(world: "World") -> Iterator[str]:
    """One 202 a payment, a 409 only for other content, no other answer than documented."""
    observations = world.clients.observations
    yield from observations.surprises
    created = Counter(
        content.payment_id for content, answer in observations.accepted if answer.status == 202
    )
    for payment_id, times in created.items():
        if times > 1:
            yield f"{payment_id} was answered 202 {times} times"
    for content, answer in observations.accepted:
        if _shown(answer.body) != content:
            yield f"{content} was answered with {answer.body}"
    for content, answer in observations.refused:
        stored = world.end.payments.get(content.payment_id)
        if stored is None or _content(stored) == content:
            yield f"{content} was answered 409, but no other content is stored"
        elif _shown(answer.body["payment"]) != _content(stored):
            yield f"{content} was answered 409 with {answer.body['payment']}, not with the stored"


def _charges_match_outcomes(world: "World") -> Iterator[str]:
    """No payment is charged twice; charged and COMPLETED are the same payments and amounts."""
    charges = world.charges()
    for payment_id, times in Counter(charge.payment_id for charge in charges).items():
        if times > 1:
            yield f"{payment_id} was charged {times} times"
    charged = {charge.payment_id: charge for charge in charges}
    for payment_id, charge in charged.items():
        payment = world.end.payments.get(payment_id)
        if payment is None or not payment.amounts.authorized:
            yield f"{payment_id} was charged and is {payment.status if payment else 'lost'}"
        elif (charge.amount_minor, charge.currency) != (payment.amount_minor, payment.currency):
            yield f"{payment_id}: {charge} is not {_content(payment)}"
    for payment in world.end.payments.values():
        if payment.amounts.authorized and payment.payment_id not in charged:
            yield f"{payment.payment_id} is {payment.status} and was never charged"
        if payment.content.capture == "automatic":
            charged_whole = payment.status is PaymentStatus.COMPLETED
            if charged_whole != bool(payment.amounts.authorized):
                yield f"{payment.payment_id} is {payment.status} with {payment.amounts}"


def _records_agree(world: "World") -> Iterator[str]:
    """History, audit chain and payment tell the same story, without a gap."""
    end = world.end
    for payment_id in sorted(set(end.audit) - set(end.payments)):
        yield f"{payment_id} has an audit trail and is lost"
    for payment_id, payment in end.payments.items():
        trail = end.audit.get(payment_id, [])
        yield from chain_faults(payment_id, trail)
        steps = [record for record in trail if record["kind"] == KIND]
        told = [(record["sequence"], record["to"], record["at"]) for record in steps]
        history = [
            (entry.sequence, entry.status.value, entry.at) for entry in end.history[payment_id]
        ]
        if history != told:
            yield f"{payment_id}: history {history} is not the audit trail {told}"
        if not trail:
            continue
        last, first = trail[-1], trail[0]
        stands = (payment.version, payment.status.value, payment.updated_at, payment.audit_hash)
        if stands != (last["sequence"], steps[-1]["to"], last["at"], last["hash"]):
            yield f"{payment_id}: stands at {stands}, its last record is {last}"
        if (first["amount_minor"], first["currency"]) != (payment.amount_minor, payment.currency):
            yield f"{payment_id}: accepted as {first}, stored is {_content(payment)}"


def _books_are_right(world: "World") -> Iterator[str]:
    """What ``payments books prove`` proves holds, rebuilt from the trail by code of its own."""
    yield from (f"books: {fault}" for fault in world.end.books)


def _nothing_is_rewritten(world: "World") -> Iterator[str]:
    """No write changed what stays, or left amounts or operations that cannot be."""
    yield from world.watch.faults


def _events_are_announced(world: "World") -> Iterator[str]:
    """Each record that is an event is announced at least once, always the same, and nothing else."""
    announced: dict[str, set[str]] = defaultdict(set)
    for message, attributes in world.announcements:
        if "payment" in message:
            text = json.dumps([message, attributes], sort_keys=True)
            announced[message["event_id"]].add(text)
    for payment_id, trail in world.end.audit.items():
        for record in trail:
            if "event_type" not in record:
                continue
            event_id = f"{payment_id}:{record['sequence']}"
            versions = announced.pop(event_id, set())
            if not versions:
                yield f"{event_id} was never announced"
            elif versions != {json.dumps(announcement(record), sort_keys=True)}:
                yield f"{event_id} was announced otherwise than it is recorded: {versions}"
    for event_id in announced:
        yield f"{event_id} was announced and is not recorded"


def _events_agree_with_payments(world: "World") -> Iterator[str]:
    """What was announced last of a settled payment is what is stored."""
    last: dict[str, dict[str, Any]] = {}
    for message, _ in world.announcements:
        if "payment" in message and "operation" not in message:
            payment_id = message["payment"]["payment_id"]
            if message["sequence"] >= last.get(payment_id, {"sequence": 0})["sequence"]:
                last[payment_id] = message
    for payment_id, message in last.items():
        payment = world.end.payments.get(payment_id)
        if payment is None or message["payment"] != _as_announced(world, payment):
            yield f"{payment_id} was announced as {message['payment']}, stored is {payment}"


def _as_announced(world: "World", payment: Payment) -> dict[str, Any]:
    """Return what was announced of a payment's last status; operations have moved it since."""
    described = describe(payment)
    for option in payment.content.options:
        described.pop(option)
    trail = world.end.audit[payment.payment_id]
    described["updated_at"] = next(r["at"] for r in reversed(trail) if r["kind"] == KIND)
    return described


def _outcomes_are_the_processors(world: "World") -> Iterator[str]:
    """What is stored is what the processor decided: outcome, reference and reason."""
    if world.gateway is None:
        return
    yield from world.gateway.misuses
    for payment in world.end.payments.values():
        verdict = world.gateway.verdicts.get(payment.payment_id)
        match verdict:
            case Approved(reference):
                right = payment.gateway_reference == reference and payment.failure is None
            case Declined(failure):
                right = payment.failure == failure
            case _:
                # Closed before it could be charged: nobody was asked.
                right = payment.failure in {CANCELLED, None, REVIEW_REJECTED, REVIEW_EXPIRED}
                right = right and not payment.amounts.authorized
        if payment.status.is_settled and not right:
            yield f"{payment}: the processor decided {verdict}"


def _nobody_is_failed_for_our_own_outages(world: "World") -> Iterator[str]:
    """A payment fails as ``gateway_unavailable`` only if the processor gave no answer about it."""
    for payment in world.end.payments.values():
        if payment.failure != CANCELLED:
            continue
        if world.gateway is not None:
            unanswered = payment.payment_id in world.gateway.unanswered
        else:
            unanswered = TROUBLED_AMOUNTS.get(payment.amount_minor) in _NO_ANSWER
        if not unanswered:
            yield f"{payment} failed, although the processor answered each time it was asked"


_NO_ANSWER: Final = frozenset(
    {SandboxAmount.DOWN, SandboxAmount.UNAVAILABLE_ONCE, SandboxAmount.ANSWER_LOST_ONCE}
)


def _metrics_count_statuses(world: "World") -> Iterator[str]:
    """No status is counted twice, or counted and not reached; where no write is in doubt, all are."""
    reached = {
        (payment_id, entry.status)
        for payment_id, history in world.end.history.items()
        for entry in history
    }
    for (payment_id, status), times in world.counted.items():
        if times > 1 or (payment_id, status) not in reached:
            yield f"{payment_id} was counted {times} times as {status}"
    if not _LOSE_COUNTS & set(world.faults.struck):
        for payment_id, status in sorted(reached - set(world.counted)):
            yield f"{payment_id} reached {status}, which was not counted"


_LOSE_COUNTS: Final = frozenset(
    {
        Fault.ANSWER_LOST,
        Fault.LATE_COMMIT,
        Fault.SERVER_ERROR_AFTER_COMMIT,
        Fault.KILLED,
        Fault.TIMED_OUT,
    }
)
"""With these, whoever made a write may not learn of it; metrics are promised at most once."""


def _stuck_payments_are_put_back(world: "World") -> Iterator[str]:
    """A sweep puts back all that is stuck, and a death is answered before any sweep comes."""
    yield from world.sweeping.overlooked
    yield from world.unheard_deaths


def _money_adds_up(world: "World") -> Iterator[str]:
    """Per currency, what was accepted is what completed and what failed."""
    accepted: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    unpromised = set(world.end.payments) - _promised(world)
    for payment_id, trail in world.end.audit.items():
        if payment_id not in unpromised:
            accepted[trail[0]["currency"]] += trail[0]["amount_minor"]
    for payment_id, payment in world.end.payments.items():
        if payment_id not in unpromised and payment.status.is_settled:
            ended[payment.currency] += payment.amount_minor
    if accepted != ended:
        yield f"accepted {dict(accepted)}, completed and failed {dict(ended)}"


def _readers_see_time_go_forward(world: "World") -> Iterator[str]:
    """Every answer of GET is whole, and what was final once stays as it is."""
    for payment_id, answers in world.clients.observations.seen.items():
        payment = world.end.payments.get(payment_id)
        for body in answers:
            history = [entry["status"] for entry in body["history"]]
            sequences = [entry["sequence"] for entry in body["history"]]
            if history[-1:] != [body["status"]] or sequences != sorted(set(sequences)):
                yield f"{payment_id} was shown {body['status']} with the history {history}"
            final = PaymentStatus(body["status"]).is_terminal
            if final and (payment is None or payment.status.value != body["status"]):
                yield f"{payment_id} was shown {body['status']} and did not stay so"
        versions = [len(body["history"]) for body in answers]
        if versions != sorted(versions):
            yield f"{payment_id} went back in time: {versions}"


def _one_execution_at_a_time(world: "World") -> Iterator[str]:
    """A payment's or batch's executions never overlap."""
    for execution in world.machine.executions.values():
        if execution.error == "PaymentNotFound":
            yield f"execution {execution.name} ran for a payment that was not there"
    for machine in (world.machine, world.batches):
        by_subject = defaultdict(list)
        for execution in machine.executions.values():
            by_subject[execution.subject].append(execution)
        for subject, executions in by_subject.items():
            for before, after in pairwise(executions):
                if before.ended_at is None or before.ended_at > after.started_at:
                    yield f"{subject}: executions {before.name} and {after.name} ran at once"


def _failed_batches_are_set_aside(world: "World") -> Iterator[str]:
    """Each execution of a batch that failed left a dead letter with all that another try needs."""
    aside = {json.dumps([letter["batch"], letter["size"]]) for letter in world.on_call.set_aside}
    for execution in world.batches.executions.values():
        if execution.status != "FAILED" or execution.state == "SetAside":
            continue
        given = json.loads(execution.input)
        if json.dumps([given["batch"], given["size"]]) not in aside:
            yield f"{execution.name} failed with {execution.error} and was not set aside"


def _batches_end(world: "World") -> Iterator[str]:
    """Each version of a file is one batch that ends as its content says, if need be by on-call."""
    subjects = {execution.subject for execution in world.batches.executions.values()}
    uploaded = {batch.batch_id for _, batch in world.uploads.done}
    if subjects != uploaded:
        yield f"{len(uploaded)} files were uploaded and {len(subjects)} batches ran"
    for upload, batch in world.uploads.done:
        progress = world.end.batches.get(batch.batch_id)
        if progress is None:
            yield f"{upload.key} is lost"
            continue
        if upload.gone_after is not None:
            yield from _what_is_gone_is_told(world, batch.batch_id, progress)
            continue
        right = "REFUSED" if upload.unreadable is not None else "COMPLETED"
        if progress.status.value != right:
            yield f"{upload.key} ends {progress.status}, not {right}"
        last = world.batches.executions_of(batch.batch_id)[-1:]
        if not last or last[0].status != "SUCCEEDED":
            yield f"{upload.key}: its last execution is {last}"


def _what_is_gone_is_told(
    world: "World", batch_id: str, progress: "BatchProgress"
) -> Iterator[str]:
    """A file that was deleted while it was read ends, and is refused only if none of it is paid."""
    # One that has failed stays so: nobody can read it to its end.
    if progress.status.value == "PROCESSING":
        yield f"{batch_id} was deleted and stays {progress.status}"
    paid = [each for each in world.end.payments.values() if f":{batch_id}:" in each.source]
    if progress.status.value == "REFUSED" and paid:
        yield f"{batch_id} was deleted and is REFUSED, but {len(paid)} of its rows are payments"


def _readable(world: "World") -> list[tuple[Upload, "Batch"]]:
    """Return the files that nobody deleted."""
    return [(upload, batch) for upload, batch in world.uploads.done if upload.gone_after is None]


def _batches_are_announced(world: "World") -> Iterator[str]:
    """Start and end of each batch are announced, or set aside, at least once, and nothing else."""
    announced = _news_of_batches(world)
    for _, batch in _readable(world):
        batch_id = batch.batch_id
        progress = world.end.batches.get(batch_id)
        for event in ("STARTED", progress.status.value) if progress else ():
            versions = announced.pop(f"{batch_id}:{event}", set())
            if not versions:
                yield f"{batch_id}: {event} was never announced"
            elif len(versions) > 1:
                yield f"{batch_id}: {event} was announced in {len(versions)} versions"
        # What has failed may go on being paid and complete later.
        if _has_failed(world, batch_id):
            announced.pop(f"{batch_id}:FAILED", None)
    for event_id in announced:
        yield f"{event_id} was announced and is not so"


def _news_of_batches(world: "World") -> dict[str, set[str]]:
    """Return all versions of each announcement of a batch, but of those whose file was deleted."""
    announced: dict[str, set[str]] = defaultdict(set)
    for news in world.batches.news_aside:
        attributes = {"event_type": news["event_type"]}
        announced[news["event_id"]].add(json.dumps([news, attributes], sort_keys=True))
    for message, attributes in world.announcements:
        if message["event_type"].startswith("batch."):
            announced[message["event_id"]].add(json.dumps([message, attributes], sort_keys=True))
    deleted = {batch.batch_id for each, batch in world.uploads.done if each.gone_after is not None}
    return {
        event_id: versions
        for event_id, versions in announced.items()
        # It may have failed several times, or never begun.
        if event_id.partition(":")[0] not in deleted
    }


def _rows_are_counted(world: "World") -> Iterator[str]:
    """Each row is counted once, as what it is and what became of its payment."""
    for upload, batch in _readable(world):
        progress = world.end.batches.get(batch.batch_id)
        if progress is None:
            continue
        outcomes = {
            line: _outcome(world, row, f"batch:{batch.batch_id}:{line}")
            for line, row in upload.valid_rows.items()
            if not upload.is_dry_run
        }
        if upload.is_dry_run:
            outcomes = {row.line: row.outcome for row in world.end.not_paid[batch.batch_id]}
        sums: Counter[str] = Counter()
        for row in upload.valid_rows.values():
            sums[row.currency] += row.amount_minor
        told = progress.describe()
        counts = Counter(outcomes.values())
        right = {
            "rows": len(upload.valid_rows) + len(upload.bad_lines),
            "accepted": len(upload.valid_rows),
            "rejected": len(upload.bad_lines),
            **{name: counts[name] for name in _ROW_OUTCOMES},
            "accepted_amounts": {
                currency: to_decimal_text(minor, EXPONENTS[currency])
                for currency, minor in sums.items()
            },
        }
        for name, value in right.items():
            if told[name] != value:
                yield f"{upload.key}: {name} is {told[name]}, should be {value}"
        not_paid = {row.line: row.outcome for row in world.end.not_paid[batch.batch_id]}
        unpaid = {line: end for line, end in outcomes.items() if end in {"duplicate", "conflict"}}
        if not_paid != unpaid:
            yield f"{upload.key}: not paid are {unpaid}, recorded are {not_paid}"
        if upload.is_dry_run and any(
            f'"batch:{batch.batch_id}:' in body for body in world.rows.bodies
        ):
            yield f"{upload.key} is a dry run, and rows of it were queued"


_ROW_OUTCOMES: Final = tuple(outcome.value for outcome in RowOutcome)


def _dry_runs_tell_what_is_taken(world: "World") -> Iterator[str]:
    """Of each id in a dry run, one row is free, or none if a payment has it; the others are told."""
    for upload, batch in _readable(world):
        progress = world.end.batches.get(batch.batch_id)
        if progress is None or progress.is_open or not upload.is_dry_run:
            continue
        told = {row.line: row.outcome for row in world.end.not_paid[batch.batch_id]}
        rows = upload.valid_rows
        for payment_id in {row.payment_id for row in rows.values()}:
            those = {line: row for line, row in rows.items() if row.payment_id == payment_id}
            payment = world.end.payments.get(payment_id)
            possible = [_taken_from(those, row, line) for line, row in those.items()]
            if payment is not None:
                by_payment = _taken_from(those, _content(payment), None)
                if payment.created_at < progress.timeline[0]["at"]:
                    possible = [by_payment]
                elif payment.created_at <= progress.updated_at:
                    possible.append(by_payment)
            found = {line: told[line] for line in those if line in told}
            if found not in possible:
                yield f"{upload.key}: {payment_id} is told as {found}, not as one of {possible}"


def _taken_from(rows: dict[int, Content], holder: Content, line: int | None) -> dict[int, str]:
    """Return what becomes of the rows with one id if a payment, or the row of a line, has it."""
    return {
        at: "duplicate" if row == holder else "conflict" for at, row in rows.items() if at != line
    }


def _outcome(world: "World", row: Content, source: str) -> str:
    payment = world.end.payments.get(row.payment_id)
    if payment is None:
        return "lost"
    if _content(payment) != row:
        return "conflict"
    if payment.source != source:
        return "duplicate"
    # A row ends once: that of an authorised payment before what is captured of it.
    steps = (entry.status.row_outcome for entry in world.end.history[payment.payment_id])
    return next((outcome.value for outcome in steps if outcome), "open")


def _batches_are_reported(world: "World") -> Iterator[str]:
    """The summary says what is known, and each bad or unpaid row is reported once."""
    for upload, batch in _readable(world):
        progress = world.end.batches.get(batch.batch_id)
        if progress is None:
            continue
        told = progress.describe()
        place = told["reports"]["summary"]
        summary = None if place is None else _report(world, place)
        if place is not None and (summary is None or json.loads(summary) != told):
            yield f"{upload.key}: its summary is {summary!r}, not {told}"
        lines = _reported_lines(world, told["reports"]["not_paid"])
        unpaid = [row.line for row in world.end.not_paid[batch.batch_id]]
        if sorted(lines) != sorted(unpaid):
            yield f"{upload.key}: lines {lines} reported as not paid, {unpaid} are"
        lines = _reported_lines(world, told["reports"]["rejected"])
        if lines != upload.bad_lines:
            yield f"{upload.key}: lines {lines} reported as bad, {upload.bad_lines} are"


def _batches_go_forward(world: "World") -> Iterator[str]:
    """What a reader saw of a batch never takes back a row, and its end stays."""
    for batch_id, answers in world.clients.observations.batches_seen.items():
        for name in ("rows", *_ROW_OUTCOMES):
            counts = [answer[name] for answer in answers]
            if counts != sorted(counts):
                yield f"{batch_id}: {name} went back: {counts}"
        last = world.end.batches[batch_id].status.value
        passing = {"PROCESSING", "FAILED"} if _has_failed(world, batch_id) else {"PROCESSING"}
        for answer in answers:
            if answer["status"] not in {*passing, last}:
                yield f"{batch_id} was shown {answer['status']} and is {last}"


def _reported_lines(world: "World", links: list[str]) -> list[int]:
    reports = (_report(world, link) or b"" for link in links)
    return [
        int(row.get("[rejected line]") or row["[not paid line]"])
        for report in reports
        for row in csv.DictReader(report.decode("utf-8-sig").splitlines())
    ]


def _report(world: "World", link: str) -> bytes | None:
    bucket, _, key = link.removeprefix("s3://").partition("/")
    return world.objects.get(bucket, key)


def _has_failed(world: "World", batch_id: str) -> bool:
    """Say whether an execution of a batch began to record its failure."""
    return any(execution.has_died for execution in world.batches.executions_of(batch_id))


def _promised(world: "World") -> set[str]:
    """Return the ids of all payments that must come to an end."""
    if world.sweeps:
        return set(world.end.payments)
    answered = {content.payment_id for content, _ in world.clients.observations.accepted}
    rows = {row.payment_id for upload, _ in _readable(world) for row in upload.valid_rows.values()}
    return answered | {
        payment_id
        for payment_id in rows
        if payment_id in world.end.payments and world.end.payments[payment_id].source != "api"
    }


def _content(payment: Payment) -> Content:
    capture = payment.content.capture
    return Content(payment.payment_id, payment.amount_minor, payment.currency, capture)


def _shown(body: dict[str, Any]) -> Content:
    capture = body.get("capture", "automatic")
    return Content(body["payment_id"], body["amount_minor"], body["currency"], capture)
