"""CSV files in the batch bucket, from the upload to payments and report."""

import json
from collections.abc import Callable
from pathlib import Path

from local import batches
from tests.e2e.environment import Environment, Notifications


def test_every_row_of_a_file_becomes_a_payment(
    environment: Environment,
    notifications: Notifications,
    payment_id: Callable[[], str],
    tmp_path: Path,
) -> None:
    first, second, third = payment_id(), payment_id(), payment_id()
    file = tmp_path / "three rows.csv"
    file.write_text(
        f"payment_id,amount,currency\n{first},100.00,USD\n{second},50.00,EUR\n{third},75.50,USD\n"
    )
    report = batches.follow(environment.deployment, batches.upload(environment.deployment, file))
    assert (report.summary["rows"], report.summary["accepted"]) == (3, 3)
    assert report.summary["accepted_amounts"] == {"EUR": "50.00", "USD": "175.50"}
    for name, amount in ((first, "100.00"), (second, "50.00"), (third, "75.50")):
        final = environment.api.final(name)
        assert (final["status"], final["amount"]) == ("COMPLETED", amount)
        assert notifications.of(name)["event_type"] == "payment.completed"


def test_a_bad_row_is_reported_and_its_neighbours_are_paid(
    environment: Environment, payment_id: Callable[[], str], tmp_path: Path
) -> None:
    good, declined, row_conflict = payment_id(), payment_id(), payment_id()
    environment.api.submit({"payment_id": row_conflict, "amount": 1, "currency": "USD"})
    file = tmp_path / "größe + rows.csv"
    file.write_bytes(
        b"\xef\xbb\xbfcurrency,note,payment_id,amount\r\n"
        + f'USD,"a, b",{good},1.00\r\n'.encode()
        + b"usd,,a b,1.9999\r\n\r\n"
        + f"USD,,{declined},400.02\r\n".encode()
        + f"USD,,{row_conflict},2.00\r\n".encode()
    )
    report = batches.follow(environment.deployment, batches.upload(environment.deployment, file))
    assert (report.summary["accepted"], report.summary["rejected"]) == (3, 1)
    [rejected] = report.rejected
    assert rejected["[rejected line]"] == "3"
    assert rejected["[rejected code]"] == "invalid_format; unknown_currency"
    assert environment.api.final(good)["status"] == "COMPLETED"
    assert environment.api.final(declined)["failure_code"] == "card_declined"
    assert environment.api.final(row_conflict)["amount"] == "1.00"
    outcomes = [report.summary[name] for name in ("completed", "failed", "duplicate", "conflict")]
    assert outcomes == [1, 1, 0, 1]
    [not_paid] = report.not_paid
    assert not_paid["payment_id"] == ""
    assert (not_paid["[not paid id]"], not_paid["[not paid outcome]"]) == (row_conflict, "conflict")


def test_the_same_content_again_is_recognised(
    environment: Environment, payment_id: Callable[[], str], tmp_path: Path
) -> None:
    file = tmp_path / "twice.csv"
    file.write_text(f"payment_id,amount,currency\n{payment_id()},1,USD\n{payment_id()},2,USD\n")
    first, second = (
        batches.follow(environment.deployment, batches.upload(environment.deployment, file)).summary
        for _ in range(2)
    )
    assert (first["completed"], first["duplicate"]) == (2, 0)
    assert (second["completed"], second["duplicate"]) == (0, 2)


def test_an_upload_that_is_told_twice_is_one_batch(
    environment: Environment,
    notifications: Notifications,
    payment_id: Callable[[], str],
    tmp_path: Path,
) -> None:
    file = tmp_path / "told twice.csv"
    file.write_text(f"payment_id,amount,currency\n{payment_id()},1,USD\n")
    batch_id = batches.upload(environment.deployment, file)
    summary = batches.follow(environment.deployment, batch_id).summary
    event = {
        "Records": [
            {
                "s3": {
                    "bucket": {"name": summary["bucket"]},
                    "object": {
                        "key": "told+twice.csv",
                        "size": file.stat().st_size,
                        "versionId": summary["version_id"],
                    },
                }
            }
        ]
    }
    answer = environment.clients.functions.invoke(
        FunctionName=f"batch-processor-{environment.suffix}", Payload=json.dumps(event)
    )
    assert "FunctionError" not in dict(answer)
    assert environment.executions_of(batch_id, workflow="batch_workflow_arn") == [batch_id]
    for moment in ("started", "completed"):
        event_id = f"{batch_id}:{moment.upper()}"
        assert notifications.with_id(event_id)["event_type"] == f"batch.{moment}"


def test_a_large_file_is_cut_and_a_dry_run_pays_nothing(
    environment: Environment, tmp_path: Path
) -> None:
    rows, note = 6_000, "n" * 3_000
    file = tmp_path / "large.csv"
    with file.open("w") as written:
        written.write("payment_id,amount,currency,note\n")
        written.writelines(f"dry_{number:012},1.25,USD,{note}\n" for number in range(rows - 1))
        written.write(f"dry last,1.25,USD,{note}\n")
    assert file.stat().st_size > 2 * 8 * 1024 * 1024
    batch_id = batches.upload(environment.deployment, file, dry_run=True)
    report = batches.follow(environment.deployment, batch_id, patience=120)
    assert (report.summary["rows"], report.summary["rejected"]) == (rows, 1)
    assert report.summary["accepted_amounts"] == {"USD": f"{(rows - 1) * 125 // 100}.75"}
    assert report.rejected[0]["[rejected line]"] == str(rows + 1)
    assert environment.api.payment("dry_000000000000").status == 404


def test_a_file_that_is_none_is_refused_with_a_report(
    environment: Environment, tmp_path: Path
) -> None:
    file = tmp_path / "utf16.csv"
    file.write_bytes("payment_id,amount,currency\npay_1,1,USD\n".encode("utf-16"))
    report = batches.follow(environment.deployment, batches.upload(environment.deployment, file))
    assert report.summary["status"] == "REFUSED"
    assert report.summary["reason"]["code"] == "not_utf8"


def test_an_unknown_batch_is_not_found(environment: Environment) -> None:
    answer = environment.api.request("GET", f"/batches/batch_{'0' * 32}")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
