"""The audit trail: whoever touches a record is found out."""

from typing import Any

import pytest

from operations.audit import AuditTrail, Verification
from operations.cli import main
from operations.items import plain
from payments.aws.items import serialize
from payments.aws.payments import PaymentStore, Tables
from payments.aws.sandbox_ledger import SandboxLedger
from payments.core.audit import GENESIS, chain_faults, record_hash
from payments.core.content import Content
from payments.core.payment import PaymentRequest
from payments.flows.charge import Charging
from payments.gateways.sandbox import SandboxGateway
from tests.unit.cloud import WITNESS, Cloud, create_table, payment_request

TABLES = Tables(
    payments="payments-test",
    processing_status="status",
    audit_logs="audit-logs-test",
    operations="payment-operations-test",
)


@pytest.fixture
def trail(cloud: Cloud) -> AuditTrail:
    """The trail of two payments that ran to their end and one that is pending."""
    create_table(cloud.dynamodb, TABLES.payments, {"payment_id": "S"})
    create_table(cloud.dynamodb, TABLES.audit_logs, {"payment_id": "S", "sequence": "N"})
    store = PaymentStore(cloud.dynamodb, TABLES)
    ledger = SandboxLedger(cloud.dynamodb, TABLES.processing_status)
    charging = Charging(store, SandboxGateway(ledger))
    for payment_id, amount_minor in (("pay_1", 100), ("pay_2", 40001), ("pay_3", 100)):
        request = payment_request(payment_id, amount_minor)
        store.create(request, actor="api", at="2026-01-01T00:00:00Z")
    for payment_id in ("pay_1", "pay_2"):
        charging.charge_by_id(payment_id, WITNESS)
    return AuditTrail(cloud.dynamodb, "test")


def verified(trail: AuditTrail) -> Verification:
    *_, result = trail.verify()
    return result


def key(payment_id: str, sequence: int) -> dict[str, Any]:
    return {"payment_id": {"S": payment_id}, "sequence": {"N": str(sequence)}}


def records(cloud: Cloud, payment_id: str) -> list[dict[str, Any]]:
    return [
        item for item in cloud.items(TABLES.audit_logs) if item["payment_id"]["S"] == payment_id
    ]


def test_an_untouched_trail_is_whole(trail: AuditTrail) -> None:
    assert verified(trail) == Verification(payments=3, records=7, faults=[])


@pytest.mark.parametrize("payment_id", ["pay_1", "pay_2"])
@pytest.mark.parametrize("sequence", [1, 2, 3])
def test_a_change_to_any_field_of_any_record_is_found(
    trail: AuditTrail, cloud: Cloud, payment_id: str, sequence: int
) -> None:
    [record] = [
        item for item in records(cloud, payment_id) if item["sequence"]["N"] == str(sequence)
    ]
    for name in set(record) - {"payment_id", "sequence"}:
        [(kind, value)] = record[name].items()
        changed = {"N": str(int(value) + 1)} if kind == "N" else {"S": f"{value}x"}
        cloud.dynamodb.put_item(TableName=TABLES.audit_logs, Item={**record, name: changed})
        assert verified(trail).faults, name
        without = {field: content for field, content in record.items() if field != name}
        cloud.dynamodb.put_item(TableName=TABLES.audit_logs, Item=without)
        assert verified(trail).faults, name
    added = {**record, "note": {"S": "added"}}
    cloud.dynamodb.put_item(TableName=TABLES.audit_logs, Item=added)
    assert verified(trail).faults
    cloud.dynamodb.put_item(TableName=TABLES.audit_logs, Item=record)
    assert verified(trail).faults == []


@pytest.mark.parametrize("sequence", [1, 2, 3])
def test_a_missing_record_is_found(trail: AuditTrail, cloud: Cloud, sequence: int) -> None:
    cloud.dynamodb.delete_item(TableName=TABLES.audit_logs, Key=key("pay_1", sequence))
    assert verified(trail).faults


def test_reordered_records_are_found(trail: AuditTrail, cloud: Cloud) -> None:
    _, second, third = records(cloud, "pay_1")
    for record, sequence in ((second, "3"), (third, "2")):
        moved = {**record, "sequence": {"N": sequence}}
        cloud.dynamodb.put_item(TableName=TABLES.audit_logs, Item=moved)
    assert verified(trail).faults


def test_a_record_from_another_payment_is_found(trail: AuditTrail, cloud: Cloud) -> None:
    foreign = {**records(cloud, "pay_2")[2], "payment_id": {"S": "pay_1"}}
    cloud.dynamodb.put_item(TableName=TABLES.audit_logs, Item=foreign)
    assert verified(trail).faults


@pytest.mark.parametrize("payment_id", ["pay_1", "pay_2", "pay_3"])
def test_a_change_to_any_attribute_of_a_payment_is_found(
    trail: AuditTrail, cloud: Cloud, payment_id: str
) -> None:
    key_ = {"payment_id": {"S": payment_id}}
    item = cloud.dynamodb.get_item(TableName=TABLES.payments, Key=key_)["Item"]
    for name in set(item) - {"payment_id", "open_shard", "time_shard"}:
        [(kind, value)] = item[name].items()
        without = {field: content for field, content in item.items() if field != name}
        for tampered in (
            {**item, name: {kind: f"{value}1"}},
            {**item, name: {"L": [{"N": "1.5"}]}},
            without,
        ):
            cloud.dynamodb.put_item(TableName=TABLES.payments, Item=tampered)
            assert any(name in fault for fault in verified(trail).faults), name
    cloud.dynamodb.put_item(TableName=TABLES.payments, Item={**item, "note": {"S": "added"}})
    assert verified(trail).faults == [f"{payment_id}: note is 'added', its records say None"]
    cloud.dynamodb.put_item(TableName=TABLES.payments, Item=item)
    assert verified(trail).faults == []


@pytest.mark.parametrize(
    "value",
    [
        {"N": "1.5"},
        {"B": b"bytes"},
        {"NULL": True},
        {"L": [{"N": "1"}]},
        {"M": {"S": {"S": "PENDING"}}},
        {"SS": ["PENDING"]},
        {"S": ""},
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_value_that_no_record_can_have_is_a_fault_and_no_crash(
    trail: AuditTrail, cloud: Cloud, value: Any
) -> None:
    _, record, _ = records(cloud, "pay_1")
    for name in ("at", "amount_minor", "from", "to", "hash", "previous_hash"):
        cloud.dynamodb.put_item(TableName=TABLES.audit_logs, Item={**record, name: value})
        assert verified(trail).faults, name


@pytest.mark.parametrize("to", ["NO_STATUS", "PENDING", None])
def test_a_chain_sealed_anew_over_a_step_that_none_may_take_is_found(to: str | None) -> None:
    first: dict[str, Any] = {
        "kind": "payment",
        "payment_id": "pay_1",
        "sequence": 1,
        "to": "PENDING",
    }
    first["previous_hash"] = GENESIS
    first["hash"] = record_hash(first)
    second: dict[str, Any] = {
        "kind": "payment",
        "payment_id": "pay_1",
        "sequence": 2,
        "from": "PENDING",
        "to": to,
    }
    second["previous_hash"] = first["hash"]
    second["hash"] = record_hash(second)
    third: dict[str, Any] = {
        "kind": "payment",
        "payment_id": "pay_1",
        "sequence": 3,
        "from": to,
        "to": "COMPLETED",
    }
    third["previous_hash"] = second["hash"]
    third["hash"] = record_hash(third)
    assert chain_faults("pay_1", [first]) == []
    assert any("record 2" in fault for fault in chain_faults("pay_1", [first, second, third]))


def test_a_trail_that_is_gone_is_found(trail: AuditTrail, cloud: Cloud) -> None:
    for sequence in (1, 2, 3):
        cloud.dynamodb.delete_item(TableName=TABLES.audit_logs, Key=key("pay_1", sequence))
    assert "pay_1: has no audit records" in verified(trail).faults


def test_a_payment_removed_behind_its_trail_is_found(trail: AuditTrail, cloud: Cloud) -> None:
    cloud.dynamodb.delete_item(TableName=TABLES.payments, Key={"payment_id": {"S": "pay_1"}})
    assert verified(trail).faults == ["pay_1: has audit records but no payment"]


@pytest.mark.usefixtures("trail")
def test_the_command_says_that_the_trail_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--env", "test"]) == 0
    assert capsys.readouterr().out == "3 payments, 7 records: the audit trail is whole\n"


@pytest.mark.usefixtures("trail")
def test_the_command_names_each_fault(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.dynamodb.delete_item(TableName=TABLES.audit_logs, Key=key("pay_1", 2))
    assert main(["audit", "verify", "--env", "test"]) == 1
    assert "pay_1 record 3: record 2 was expected here" in capsys.readouterr().out


@pytest.mark.usefixtures("cloud")
def test_the_command_says_when_there_is_nothing_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--env", "none"]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.usefixtures("trail")
def test_the_command_counts_what_moved_money_before_there_were_postings(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    previous = GENESIS
    for record in map(plain, records(cloud, "pay_1")):
        del record["postings"]
        record["previous_hash"] = previous
        record["hash"] = previous = record_hash(record)
        cloud.dynamodb.put_item(TableName=TABLES.audit_logs, Item=serialize(record))
    cloud.dynamodb.update_item(
        TableName=TABLES.payments,
        Key={"payment_id": {"S": "pay_1"}},
        UpdateExpression="SET audit_hash = :hash",
        ExpressionAttributeValues={":hash": {"S": previous}},
    )
    assert main(["audit", "verify", "--env", "test"]) == 0
    assert "1 records moved money before records had postings\n" in capsys.readouterr().out


def test_the_trail_tells_what_was_asked_of_the_processor(trail: AuditTrail, cloud: Cloud) -> None:
    content = Content("pay_4", 100, "USD", 2, "cus_1", "pm_1", "manual")
    request = PaymentRequest(content, "api", "request-4")
    PaymentStore(cloud.dynamodb, TABLES).create(request, actor="api", at="2026-01-01T00:00:00Z")
    checked = trail.check("pay_4")
    assert checked is not None
    assert checked.faults == []
    cloud.dynamodb.update_item(
        TableName=TABLES.payments,
        Key={"payment_id": {"S": "pay_4"}},
        UpdateExpression="SET processor_payment_method = :another",
        ExpressionAttributeValues={":another": {"S": "pm_2"}},
    )
    assert verified(trail).faults == [
        "pay_4: processor_payment_method is 'pm_2', its records say 'pm_1'"
    ]
