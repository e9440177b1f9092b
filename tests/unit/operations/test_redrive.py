"""Dead letters: what can be put back is, under its own id, and what stays says why."""

import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from operations import redrive
from operations.cli import main
from operations.redrive import RECEIVED_SECONDS
from payments.batches.batch import Batch, ObjectVersion
from payments.core.executions import execution_name
from payments.core.messages import PaymentMessage, encode_message
from tests.unit.aws_events import load
from tests.unit.cloud import ROW, Cloud, payment_request

BATCH = Batch(ObjectVersion("files", "a.csv", "v"))
BATCH_LETTER = json.dumps({"batch": BATCH.to_dict(), "size": 1, "error": {"Error": "E"}})
PAYMENT = encode_message(PaymentMessage(payment_request("pay_1")))
ROW_PAYMENT = encode_message(PaymentMessage(payment_request("row_1", source=ROW)))

ARGUMENTS = ["redrive", "--env", "dev"]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for letters that are not there."""
    as_shipped = redrive.Redriving._receive

    def receive(self: redrive.Redriving) -> Any:
        client = self._client
        wait = client.receive_message
        monkeypatch.setattr(
            self,
            "_client",
            _Impatient(client, lambda **each: wait(**each | {"WaitTimeSeconds": 0})),
        )
        try:
            return as_shipped(self)
        finally:
            monkeypatch.setattr(self, "_client", client)

    monkeypatch.setattr(redrive.Redriving, "_receive", receive)


class _Impatient:
    def __init__(self, client: Any, receive_message: Any) -> None:
        self._client = client
        self.receive_message = receive_message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def workflows(cloud: Cloud) -> Any:
    """The client of workflows, with the workflow of batches."""
    client = boto3.client("stepfunctions", region_name=cloud.sqs.meta.region_name)
    client.create_state_machine(
        name="payment-batch-workflow-dev",
        definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
        roleArn="arn:aws:iam::123456789012:role/workflow",
    )
    return client


def executions(workflows: Any) -> dict[str, Any]:
    """Return the input of every execution, by name."""
    [machine] = workflows.list_state_machines()["stateMachines"]
    listed = workflows.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
    return {
        each["name"]: json.loads(
            workflows.describe_execution(executionArn=each["executionArn"])["input"]
        )
        for each in listed
    }


def set_aside(cloud: Cloud, *bodies: str, reason: str | None = None) -> None:
    attributes = {"reason": {"DataType": "String", "StringValue": reason}} if reason else {}
    for body in bodies:
        cloud.sqs.send_message(
            QueueUrl=cloud.dead_letters_url,
            MessageBody=body,
            MessageAttributes=attributes,  # type: ignore[arg-type]  # as boto3 takes them
        )


def bodies(cloud: Cloud, queue_url: str) -> list[str]:
    return sorted(message["Body"] for message in cloud.taken(queue_url))


def test_payments_go_back_to_the_queue_that_they_belong_to(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    set_aside(cloud, PAYMENT, ROW_PAYMENT, reason="PaymentNotFound: pay_1")
    assert main(ARGUMENTS) == 0
    assert bodies(cloud, cloud.events_url) == [PAYMENT]
    assert bodies(cloud, cloud.rows_url) == [ROW_PAYMENT]
    assert bodies(cloud, cloud.dead_letters_url) == []
    told = capsys.readouterr().out
    assert "put back: pay_1 → payment-events (set aside: PaymentNotFound: pay_1)" in told
    assert "put back: row_1 → payment-rows" in told
    assert told.endswith("2 payments and 0 files put back, 0 letters stay\n")


def test_a_batch_is_put_back_under_its_own_id_as_its_workflows_next_execution(
    cloud: Cloud, workflows: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    [machine] = workflows.list_state_machines()["stateMachines"]
    died = workflows.start_execution(
        stateMachineArn=machine["stateMachineArn"], name=BATCH.batch_id, input="{}"
    )
    workflows.stop_execution(executionArn=died["executionArn"])
    set_aside(cloud, BATCH_LETTER)
    assert main(ARGUMENTS) == 0
    started = executions(workflows)[execution_name(BATCH.batch_id, 2)]
    assert started == {"batch": BATCH.to_dict(), "size": 1}
    assert bodies(cloud, cloud.dead_letters_url) == []
    assert f"{BATCH.batch_id} (s3://files/a.csv)" in capsys.readouterr().out


def test_an_upload_is_delivered_by_starting_what_it_names_once(
    cloud: Cloud, workflows: Any
) -> None:
    letter = json.dumps(load("lambda_on_failure"))
    set_aside(cloud, letter, letter)
    assert main(ARGUMENTS) == 0
    [(name, given)] = executions(workflows).items()
    assert given["batch"]["batch_id"] == name
    assert given["batch"]["key"] == "march 2026/Überweisungen.csv"
    assert given["size"] == 76
    assert bodies(cloud, cloud.dead_letters_url) == []


def test_what_nobody_can_read_stays_and_says_why_and_is_visible_again(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    set_aside(cloud, "poison\x1b[2K", reason="InvalidMessage: the message is not JSON")
    set_aside(cloud, PAYMENT)
    assert main(ARGUMENTS) == 1
    told = capsys.readouterr().out
    assert told.count("stays: ") == 1
    assert "nothing that can be put back: the message is not JSON" in told
    assert "(set aside: InvalidMessage: the message is not JSON)" in told
    assert "\x1b" not in told
    assert "1 payments and 0 files put back, 1 letters stay" in told
    assert bodies(cloud, cloud.dead_letters_url) == ["poison\x1b[2K"]


def test_everything_is_told_as_json(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    set_aside(cloud, PAYMENT, "x" * 1000, reason="told")
    assert main([*ARGUMENTS, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["payments"] == [{"what": "pay_1", "to": "payment-events", "reason": "told"}]
    [kept] = told["kept"]
    assert (kept["body"], kept["reason"]) == ("x" * 1000, "told")
    assert kept["message_id"]
    assert (told["files"], told["notes"]) == ([], [])


@pytest.mark.usefixtures("cloud")
def test_without_letters_there_is_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ARGUMENTS) == 0
    assert capsys.readouterr().out == "0 payments and 0 files put back, 0 letters stay\n"


@pytest.mark.usefixtures("cloud")
def test_an_environment_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redrive", "--env", "none"]) == 2
    assert "'none' cannot be redriven" in capsys.readouterr().err


type Told = tuple[int, dict[str, Any]]


class Queue:
    """A dead-letter queue that hides a letter for as many receives as the test says.

    That is how long it is hidden when it is received; whoever asks for longer gets as much more. It
    gives a new receipt each time, takes none but the newest, and none that is over.
    """

    def __init__(self, letters: dict[str, str], *, hidden_for: int) -> None:
        self.letters = letters
        self.sent: list[str] = []
        self.receives = 0
        self.refuses_to_delete = 0
        self._hidden_for = hidden_for
        self._hidden_until: dict[str, int] = {}
        self._receipts: dict[str, str] = {}

    def get_queue_url(self, **arguments: str) -> dict[str, str]:
        return {"QueueUrl": arguments["QueueName"]}

    def receive_message(self, **arguments: Any) -> dict[str, Any]:
        self.receives += 1
        seen = list(islice((each for each in self.letters if self._is_visible(each)), 10))
        for each in seen:
            self._receipts[each] = f"{each} at {self.receives}"
            self._hide(each, arguments["VisibilityTimeout"])
        return {
            "Messages": [
                {
                    "MessageId": each,
                    "ReceiptHandle": self._receipts[each],
                    "Body": self.letters[each],
                }
                for each in seen
            ]
        }

    def send_message_batch(self, **arguments: Any) -> dict[str, Any]:
        self.sent += [each["MessageBody"] for each in arguments["Entries"]]
        return {}

    def delete_message_batch(self, **arguments: Any) -> dict[str, Any]:
        if self.refuses_to_delete:
            self.refuses_to_delete -= 1
            raise ClientError({"Error": {"Code": "ReceiptHandleIsInvalid"}}, "DeleteMessageBatch")
        for each in arguments["Entries"]:
            self.letters.pop(each["ReceiptHandle"].partition(" at ")[0])
        return {}

    def change_message_visibility_batch(self, **arguments: Any) -> dict[str, Any]:
        failed = []
        for each in arguments["Entries"]:
            name = each["ReceiptHandle"].partition(" at ")[0]
            if self._receipts[name] != each["ReceiptHandle"] or self._is_visible(name):
                failed.append({"Id": each["Id"], "Code": "ReceiptHandleIsInvalid"})
            else:
                self._hide(name, each["VisibilityTimeout"])
        return {"Failed": failed}

    def _hide(self, letter: str, seconds: int) -> None:
        times = seconds / RECEIVED_SECONDS
        self._hidden_until[letter] = self.receives + int(self._hidden_for * times)

    def _is_visible(self, letter: str) -> bool:
        return self._hidden_until.get(letter, 0) <= self.receives

    @property
    def visible(self) -> int:
        return sum(self._is_visible(each) for each in self.letters)


@pytest.fixture
def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Queue], Told]:
    """Redrive a queue and return the exit code and what was told."""

    def run(queue: Queue) -> Told:
        monkeypatch.setattr("operations.clients.sqs", lambda: queue)
        code = main([*ARGUMENTS, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_forty_thousand_letters_that_stay_are_told_once_and_the_command_ends(told: Any) -> None:
    queue = Queue({f"letter-{number}": "poison" for number in range(40_000)}, hidden_for=1500)
    code, report = told(queue)
    assert code == 1
    assert len(report["kept"]) == len({each["message_id"] for each in report["kept"]}) == 40_000
    assert queue.visible == 40_000
    assert report["notes"] == []
    assert queue.receives < 10_000


def test_letters_that_come_back_before_all_were_seen_are_told_and_the_command_ends(
    told: Any,
) -> None:
    queue = Queue({f"letter-{number}": "poison" for number in range(400)}, hidden_for=3)
    code, report = told(queue)
    assert code == 1
    assert len(report["kept"]) < 400
    assert any("there may be more, so run the command again" in note for note in report["notes"])
    assert queue.visible == 400


def test_payments_behind_letters_that_come_back_are_put_back_all_the_same(told: Any) -> None:
    """A run that takes longer than a letter stays hidden."""
    letters = {f"poison-{number}": "poison" for number in range(25)}
    letters |= {
        f"payment-{number}": encode_message(PaymentMessage(payment_request(f"pay_{number}")))
        for number in range(500)
    }
    queue = Queue(letters, hidden_for=4)
    code, report = told(queue)
    assert code == 1
    assert len(report["payments"]) == len(queue.sent) == 500
    assert len(report["kept"]) == 25
    assert set(queue.letters.values()) == {"poison"}
    assert queue.visible == 25


def test_a_letter_whose_receipt_is_over_is_put_back_once_and_deleted_when_it_comes_back(
    told: Any,
) -> None:
    letters = {"letter": PAYMENT, **{f"poison-{number}": "poison" for number in range(30)}}
    queue = Queue(letters, hidden_for=2)
    queue.refuses_to_delete = 1
    code, report = told(queue)
    assert code == 1
    assert queue.sent == [PAYMENT]
    assert [each["what"] for each in report["payments"]] == ["pay_1"]
    assert set(queue.letters.values()) == {"poison"}
    assert any(
        "1 letters were put back and could not be deleted (ReceiptHandleIsInvalid)" in note
        for note in report["notes"]
    )


def test_what_was_done_is_told_when_the_command_cannot_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(Queue):
        def receive_message(self, **arguments: Any) -> dict[str, Any]:
            if self.receives == 2:
                raise ClientError({"Error": {"Code": "AccessDenied"}}, "ReceiveMessage")
            return super().receive_message(**arguments)

    letters = {f"payment-{number}": PAYMENT for number in range(15)}
    queue = Broken({"poison": "poison", **letters}, hidden_for=100)
    monkeypatch.setattr("operations.clients.sqs", lambda: queue)
    assert main(ARGUMENTS) == 2
    told = capsys.readouterr()
    assert "15 payments and 0 files put back, 1 letters stay" in told.out
    assert "AccessDenied" in told.err
    assert queue.visible == 1


def test_a_payment_that_the_queue_refuses_stays_and_its_neighbours_go(
    told: Any,
) -> None:
    class Full(Queue):
        def send_message_batch(self, **arguments: Any) -> dict[str, Any]:
            super().send_message_batch(Entries=arguments["Entries"][1:])
            return {"Failed": [{"Id": "0", "Code": "InternalError"}]}

    queue = Full({"first": PAYMENT, "second": ROW_PAYMENT.replace(ROW, "api")}, hidden_for=100)
    code, report = told(queue)
    assert code == 1
    assert len(queue.sent) == len(report["payments"]) == 1
    [kept] = report["kept"]
    assert kept["why"] == "the queue refused it: InternalError"
    assert list(queue.letters) == ["first"]


def test_a_batch_that_cannot_be_started_stays(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    set_aside(cloud, BATCH_LETTER)
    assert main(ARGUMENTS) == 1
    assert "the workflow could not be started" in capsys.readouterr().out
    assert bodies(cloud, cloud.dead_letters_url) == [BATCH_LETTER]
