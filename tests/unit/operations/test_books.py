"""``payments books``: balances, proof and journal of what is stored."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks import books as benchmark
from operations.cli import main
from operations.ledger import Ledger, TooBusy
from operations.proving import Proof, Prover
from payments.aws.items import serialize
from payments.aws.keys import outcomes_key
from payments.aws.operations import OperationStore, _operation_item
from payments.aws.payments import PaymentStore, Tables, payment_item
from payments.aws.sandbox_ledger import SandboxLedger, SandboxOperationLedger
from payments.core.audit import record_hash
from payments.core.content import RefundContent
from payments.core.messages import refund_row_message
from payments.core.operation import OperationStatus
from payments.core.payment import PaymentStatus
from payments.flows.charge import Charging
from payments.flows.delivery import OperationDelivery
from payments.flows.operations import OperationIntake
from payments.flows.performing import Performing
from payments.flows.refund_rows import RefundRowDelivery
from payments.gateways.sandbox import SandboxGateway
from payments.gateways.sandbox_operations import SandboxOperations
from tests.unit.cloud import (
    BATCH_ID,
    WITNESS,
    Cloud,
    Started,
    calls_of,
    create_table,
    payment_request,
)
from tests.unit.operations.test_proofs import a_long_story
from tests.unit.trails import Trail

TABLES = Tables(
    payments="payments-test",
    processing_status="processing-status-test",
    audit_logs="audit-logs-test",
    operations="payment-operations-test",
)
DONE, REFUSED = OperationStatus.COMPLETED, OperationStatus.FAILED
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def put(cloud: Cloud, table: str, item: dict[str, Any]) -> None:
    cloud.dynamodb.put_item(TableName=table, Item=serialize(item))


def store(cloud: Cloud, trail: Trail) -> None:
    """Store a payment, its records and its operations."""
    put(cloud, TABLES.payments, payment_item(trail.payment))
    for record in trail.records:
        put(cloud, TABLES.audit_logs, record)
    for operation in trail.operations.values():
        put(cloud, TABLES.operations, _operation_item(operation))


def of(
    payment_id: str,
    *statuses: PaymentStatus,
    amount: int = 9999,
    currency: str = "USD",
    source: str = "api",
) -> Trail:
    return Trail(*statuses, request=payment_request(payment_id, amount, currency, source))


PAID = (PaymentStatus.PROCESSING, PaymentStatus.COMPLETED)


@pytest.fixture
def books(cloud: Cloud) -> Cloud:
    """Tables with payments in two currencies, one refunded, and two rows of a batch."""
    for name, keys in (
        (TABLES.payments, {"payment_id": "S"}),
        (TABLES.audit_logs, {"payment_id": "S", "sequence": "N"}),
        (TABLES.processing_status, {"entity_id": "S", "sequence": "N"}),
        (TABLES.operations, {"payment_id": "S", "operation": "S"}),
    ):
        create_table(cloud.dynamodb, name, keys)
    store(cloud, a_long_story())
    store(cloud, of("yen", *PAID, amount=500, currency="JPY"))
    payments, ledger = (
        PaymentStore(cloud.dynamodb, TABLES),
        SandboxLedger(cloud.dynamodb, TABLES.processing_status),
    )
    charging = Charging(payments, SandboxGateway(ledger))
    for line, amount in enumerate((100, 40001), 2):
        request = payment_request(f"row_{line}", amount, source=f"batch:{BATCH_ID}:{line}")
        payments.create(request, actor="batch", at="2026-01-01T00:00:00.000000Z")
        charging.charge_by_id(request.payment_id, WITNESS)
    return cloud


def proved(cloud: Cloud, now: datetime = NOW) -> Proof:
    *_, proof = Prover(Ledger(cloud.dynamodb, "test", sleep=lambda _: None), now).prove()
    return proof


def faults(cloud: Cloud) -> list[str]:
    return [str(fault) for fault in proved(cloud).faults]


# --- prove


def test_books_that_are_right_are_proved(books: Cloud) -> None:
    proof = proved(books)
    assert (proof.failures, proof.faults) == (0, [])
    counts = (proof.books.payments, proof.books.operations, proof.books.records, proof.batches)
    assert counts == (4, 6, 25, 1)


def test_each_payment_is_read_with_few_calls(books: Cloud) -> None:
    for number in range(30):
        store(books, of(f"pay_{number + 100}", *PAID))
    calls = calls_of(books.dynamodb)
    assert proved(books).failures == 0
    # Records of 34 payments, a hundred a call; one payment has operations to be asked for.
    assert calls.count("BatchGetItem") <= 4
    assert calls.count("Query") <= 2


def test_generated_books_are_right_and_read_with_few_calls() -> None:
    proved = benchmark.prove(1000)
    assert (proved.payments, proved.operations, proved.records) == (1000, 100, 3200)
    assert proved.failures == 0
    assert proved.calls["BatchGetItem"] <= 3200 / 100 + 3200 / 100 + 1000 / 100
    assert proved.calls["Query"] == 2 * proved.operations


CLIENT_DIFFERS = (
    "USD: client = refunded + pending - captured does not hold:"
    " -26.00 in the books, -56.00 in the tables"
)


def test_a_payment_that_is_not_what_its_records_say_is_named(books: Cloud) -> None:
    put(books, TABLES.payments, {**payment_item(a_long_story().payment), "refunded_minor": 0})
    assert faults(books) == [
        "pay_1: refunded_minor is 0, its records say 3000",
        "USD: processor = captured - refunded does not hold: 31.00 in the books, 61.00 in the tables",
        CLIENT_DIFFERS,
    ]


def test_a_payment_whose_number_of_records_is_damaged_is_read_all_the_same(books: Cloud) -> None:
    for version in ("2", 0, 10**6, -1):
        put(books, TABLES.payments, {**payment_item(a_long_story().payment), "version": version})
        assert f"pay_1: version is {version!r}, its records say 16" in faults(books)


def test_a_payment_with_more_records_than_a_call_returns_is_right(books: Cloud) -> None:
    trail = of("many", *PAID)
    for number in range(60):
        trail.refund(f"r{number}", 1, REFUSED)
    store(books, trail)
    assert faults(books) == []


def test_a_payment_without_records_is_named(books: Cloud) -> None:
    put(books, TABLES.payments, payment_item(of("bare", *PAID).payment))
    assert "bare: is stored and no record tells of it" in faults(books)


def test_records_without_a_payment_are_named(books: Cloud) -> None:
    books.dynamodb.delete_item(TableName=TABLES.payments, Key={"payment_id": {"S": "yen"}})
    assert faults(books) == ["yen: has audit records and is no payment"]


def test_a_record_that_its_payment_does_not_count_is_named(books: Cloud) -> None:
    put(books, TABLES.audit_logs, {**of("yen", *PAID).records[-1], "sequence": 4})
    assert "yen: has a record 4 that it does not count" in faults(books)


def test_an_operation_that_no_record_tells_of_is_named(books: Cloud) -> None:
    put(
        books,
        TABLES.operations,
        {"payment_id": "yen", "operation": "refund#r1", "status": "PENDING"},
    )
    assert faults(books) == ["yen: refund#r1: is stored and no record tells of it"]


class Moving(Ledger):
    """A ledger in which a payment moves on when its operations are about to be read."""

    def __init__(self, cloud: Cloud, to: Trail) -> None:
        super().__init__(cloud.dynamodb, "test")
        self._cloud, self._to = cloud, to

    def operations_of(self, payment_id: str) -> list[dict[str, Any]]:
        if payment_id == self._to.payment.payment_id:
            store(self._cloud, self._to)
        return super().operations_of(payment_id)


def test_a_payment_that_moves_while_it_is_read_is_no_fault(books: Cloud) -> None:
    requested, done = of("moving", *PAID), of("moving", *PAID)
    requested.refund("r1", 100)
    done.refund("r1", 100, DONE)
    store(books, requested)
    *_, proof = Prover(Moving(books, done), NOW).prove()
    assert (proof.failures, proof.faults) == (0, [])


def test_a_batch_that_goes_on_while_it_is_read_is_left_for_the_next_proof(books: Cloud) -> None:
    *states, proof = Prover(Ledger(books.dynamodb, "test"), NOW).prove()
    assert (proof.batches, proof.in_motion) == (1, 0)
    walk = Prover(Ledger(books.dynamodb, "test"), NOW).prove()
    next(walk)
    next(walk)  # the reports have been read
    count_completed(books)
    *_, proof = walk
    assert (proof.batches, proof.in_motion, proof.failures) == (0, 1, 0)
    assert states


def count_completed(cloud: Cloud) -> None:
    cloud.dynamodb.update_item(
        TableName=TABLES.processing_status,
        Key={"entity_id": {"S": f"outcomes#{BATCH_ID}"}, "sequence": {"N": "7"}},
        UpdateExpression="ADD completed :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def test_a_batch_whose_report_differs_from_its_payments_is_named(books: Cloud) -> None:
    count_completed(books)
    assert faults(books) == [f"{BATCH_ID}: completed 2 reported and 1 found"]


def test_the_rows_of_a_file_of_refunds_are_proved(books: Cloud) -> None:
    operations = OperationStore(books.dynamodb, TABLES)
    payments = PaymentStore(books.dynamodb, TABLES)
    queues: Any = None
    ledger = SandboxOperationLedger(books.dynamodb, TABLES.processing_status)
    performing = Performing(payments, operations, SandboxOperations(ledger))
    rows = RefundRowDelivery(
        OperationIntake(payments, operations, queues),
        operations,
        OperationDelivery(performing, Started()),
    )
    refunds = f"batch_{'1' * 32}"
    for line, amount in enumerate(("0.30", "0.30", "2.00"), 2):
        content = RefundContent("row_2", f"r{line}", amount)
        rows.deliver(refund_row_message(refunds, line, content), WITNESS)
    proof = proved(books)
    assert (proof.failures, proof.faults, proof.batches) == (0, [], 2)
    books.dynamodb.update_item(
        TableName=TABLES.processing_status,
        Key=serialize(outcomes_key(refunds, "row_2")),
        UpdateExpression="ADD completed :n",
        ExpressionAttributeValues={":n": {"N": "1"}},
    )
    assert faults(books) == [f"{refunds}: completed 3 reported and 2 found"]


def test_a_batch_without_a_report_is_named_until_reports_expire(books: Cloud) -> None:
    for item in books.items(TABLES.processing_status):
        key = {name: item[name] for name in ("entity_id", "sequence")}
        books.dynamodb.delete_item(TableName=TABLES.processing_status, Key=key)
    assert faults(books) == [
        f"{BATCH_ID}: completed 0 reported and 1 found, failed 0 reported and 1 found"
    ]
    assert proved(books, datetime.now(UTC) + timedelta(days=391)).failures == 0


def test_a_table_that_never_gives_all_it_is_asked_for_is_too_busy(books: Cloud) -> None:
    get = books.dynamodb.batch_get_item

    def throttled(**arguments: Any) -> Any:
        return {"Responses": {}, "UnprocessedKeys": arguments["RequestItems"]}

    books.dynamodb.batch_get_item = throttled  # type: ignore[method-assign]  # the fault
    with pytest.raises(TooBusy):
        proved(books)
    books.dynamodb.batch_get_item = get  # type: ignore[method-assign]  # as it was


def test_a_table_that_gives_a_part_is_asked_for_the_rest(books: Cloud) -> None:
    get = books.dynamodb.batch_get_item

    def in_parts(**arguments: Any) -> Any:
        [(table, asked)] = arguments["RequestItems"].items()
        first, rest = asked["Keys"][:1], asked["Keys"][1:]
        answer: Any = get(RequestItems={table: {"Keys": first, "ConsistentRead": True}})
        return answer | {"UnprocessedKeys": {table: {"Keys": rest}} if rest else {}}

    books.dynamodb.batch_get_item = in_parts  # type: ignore[method-assign]  # the fault
    assert proved(books).failures == 0


def test_only_the_first_faults_are_kept_and_all_are_counted(
    books: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.proving.MOST_FAULTS", 1)
    books.dynamodb.delete_item(TableName=TABLES.payments, Key={"payment_id": {"S": "yen"}})
    put(
        books,
        TABLES.operations,
        {"payment_id": "pay_1", "operation": "refund#r9", "status": "PENDING"},
    )
    proof = proved(books)
    assert len(proof.faults) == 1 < proof.failures


@pytest.mark.usefixtures("books")
def test_the_command_says_that_the_books_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["books", "prove", "--env", "test"]) == 0
    said = capsys.readouterr().out
    assert said.endswith(
        "4 payments, 6 operations and 1 batch compared with 25 records: the books are right\n"
    )
    assert re.search(r"USD +processor = captured - refunded +31\.00 +31\.00 +holds", said)


def test_the_command_names_each_fault(books: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    books.dynamodb.delete_item(TableName=TABLES.payments, Key={"payment_id": {"S": "yen"}})
    assert main(["books", "prove", "--env", "test"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("yen: has audit records and is no payment\n")
    assert said.endswith(": 1 fault\n")


def test_the_command_tells_it_as_json(books: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["books", "prove", "--env", "test", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["holds"], told["failures"], told["payments"], told["faults"]) == (True, 0, 4, [])
    assert {
        "currency": "USD",
        "total": "refunds_pending = open refunds",
        "books": "-5.00",
        "tables": "-5.00",
        "holds": True,
    } in told["totals"]
    books.dynamodb.delete_item(TableName=TABLES.payments, Key={"payment_id": {"S": "yen"}})
    assert main(["books", "prove", "--env", "test", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["faults"] == [{"about": "yen", "what": "has audit records and is no payment"}]


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("command", ["prove", "balances", "export"])
def test_the_commands_say_when_there_is_nothing_to_read(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["books", command, "--env", "none"]) == 2
    assert "The books of 'none' cannot be read" in capsys.readouterr().err


# --- balances


def balances(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[tuple[str, str], str]:
    capsys.readouterr()
    assert main(["books", "balances", "--env", "test", "--json", *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    return {(each["currency"], each["account"]): each["balance"] for each in told["balances"]}


@pytest.mark.usefixtures("books")
def test_balances_are_told_by_currency_and_account(capsys: pytest.CaptureFixture[str]) -> None:
    assert balances(capsys) == {
        ("JPY", "client"): "-500",
        ("JPY", "processor"): "500",
        ("USD", "client"): "-26.00",
        ("USD", "processor"): "31.00",
        ("USD", "refunds_pending"): "-5.00",
    }


def test_balances_are_those_of_a_moment(books: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    late = of("late", *PAID, amount=700, currency="EUR")
    for record in late.records:
        record["at"] = "2026-03-12T19:00:00.000000Z"
    store(books, late)
    assert ("EUR", "processor") not in balances(capsys, "--at", "2026-03-12T19:00Z")
    at = balances(capsys, "--at", "2026-03-12T20:00:00.000001+01:00")
    assert at["EUR", "processor"] == "7.00"


@pytest.mark.usefixtures("books")
def test_balances_are_a_table_that_comes_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["books", "balances", "--env", "test", "--at", "2026-03-12T19:00Z"]) == 0
    heading, columns, *rows = capsys.readouterr().out.splitlines()
    assert heading == "test just before 2026-03-12T19:00:00.000000Z"
    assert columns.split() == ["currency", "account", "debits", "credits", "balance"]
    assert [row.split() for row in rows[:2]] == [
        ["JPY", "client", "0", "500", "-500"],
        ["JPY", "processor", "500", "0", "500"],
    ]


@pytest.mark.parametrize("at", ["2026-03-12", "yesterday", "2026-03-12T19:00"])
def test_a_moment_has_a_time_zone(at: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["books", "balances", "--env", "test", "--at", at])
    assert "no time with a time zone" in capsys.readouterr().err


def old(trail: Trail) -> Trail:
    """Return a trail that was written before there were postings."""
    previous = trail.records[0]["previous_hash"]
    for record in trail.records:
        del record["postings"]
        record["previous_hash"] = previous
        record["hash"] = previous = record_hash(record)
    trail.payment = replace(trail.payment, audit_hash=previous)
    return trail


def test_charges_from_before_there_were_postings_are_counted_and_said(
    books: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    store(books, old(of("old", *PAID, amount=300, currency="EUR")))
    store(books, old(of("old_failed", PaymentStatus.PROCESSING, PaymentStatus.FAILED)))
    assert balances(capsys)["EUR", "processor"] == "3.00"
    assert main(["books", "balances", "--env", "test"]) == 0
    said = "Counted as well: 1 charge from before records had postings.\n"
    assert capsys.readouterr().out.endswith(said)
    assert main(["books", "prove", "--env", "test"]) == 0
    assert said in capsys.readouterr().out
    assert main(["books", "export", "--env", "test"]) == 0
    assert "old payment COMPLETED  ; at 2026-01-01T00:00:00.000000Z, from before" in (
        capsys.readouterr().out
    )


def test_a_record_that_cannot_be_read_is_told_and_the_others_are_counted(
    books: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    put(books, TABLES.audit_logs, of("yen", *PAID).records[-1] | {"postings": ["nothing"]})
    assert main(["books", "balances", "--env", "test"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("yen: record 3 cannot be read: ")
    assert "31.00" in captured.out


# --- export


TRANSACTION = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2}) \* \((?P<code>[^()]+)\) [^;\n]+  ; [^\n]+\n"
    r"    (?P<debit>[a-z_]+)  (?P<debited>\d+(\.\d+)?) (?P<currency>[A-Z]{3})\n"
    r"    (?P<credit>[a-z_]+)  -(?P<credited>\d+(\.\d+)?) (?P=currency)\n"
)
"""A transaction in the syntax of hledger: https://hledger.org/hledger.html#transactions"""

DIRECTIVE = re.compile(
    r"decimal-mark \.|account [a-z_]+ +; type:[AL]|commodity 1000\.0* [A-Z]{3}|; .*|"
)


def transactions(journal: str) -> Iterator[re.Match[str]]:
    """Yield the transactions of a journal, of which every other line must be a directive."""
    place = 0
    for match in TRANSACTION.finditer(journal):
        yield match
        before = journal[place : match.start()]
        assert all(DIRECTIVE.fullmatch(line) for line in before.splitlines()), before
        place = match.end()
    assert journal[place:].strip() == ""


@pytest.mark.usefixtures("books")
def test_the_journal_is_in_the_grammar_of_hledger_and_balanced(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["books", "export", "--env", "test"]) == 0
    journal = capsys.readouterr().out
    found = list(transactions(journal))
    assert len(found) == 11
    assert all(match["debited"] == match["credited"] for match in found)
    assert journal.index("commodity 1000. JPY") < journal.index("500 JPY")
    assert {match["debit"] for match in found} | {match["credit"] for match in found} == set(
        re.findall(r"^account (\w+)", journal, re.MULTILINE)
    )
    assert "2026-01-01 * (pay_1:7) pay_1 capture c2 COMPLETED" in journal


@pytest.mark.usefixtures("books")
def test_the_journal_holds_a_span_of_time(capsys: pytest.CaptureFixture[str]) -> None:
    span = ["--from", "2026-01-01T00:00Z", "--to", "2026-01-01T00:00:00.000001Z"]
    assert main(["books", "export", "--env", "test", *span]) == 0
    # The row was charged now, all others were at the very beginning of the span.
    assert len(list(transactions(capsys.readouterr().out))) == 10


def test_a_span_of_time_begins_before_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    span = ["--from", "2026-01-02T00:00Z", "--to", "2026-01-01T00:00Z"]
    assert main(["books", "export", "--env", "test", *span]) == 2
    assert "must be before" in capsys.readouterr().err


@pytest.mark.usefixtures("books")
def test_the_journal_is_lines_of_json_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["books", "export", "--env", "test", "--json"]) == 0
    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(entries) == 11
    assert {
        "at": "2026-01-01T00:00:00.000000Z",
        "payment_id": "pay_1",
        "sequence": 7,
        "kind": "capture",
        "operation_id": "c2",
        "status": "COMPLETED",
        "debit": "processor",
        "credit": "client",
        "amount": "60.00",
        "amount_minor": 6000,
        "currency": "USD",
    } in entries
