"""Record what this release writes and hands on: ``python -m tests.releases.record``.

Payments, operations and files are taken through the functions, step by step. Of each step it keeps
what the account held, the event (a request, messages, a step of a workflow, records of a stream, a
death), and what came of it. ``tests/releases/test_recorded.py`` gives all of it to later code.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from copy import deepcopy
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

from lib.config import VERSION
from payments.aws import keys
from payments.core.operation import OperationKind, OperationStatus
from payments.core.payment import PaymentStatus
from tests.releases.account import FILES, Account, State, account
from tests.simulation.workflow import Machine, batch_machine, payment_machine
from tests.unit.aws_events import load, sqs_event
from tests.unit.cloud import TABLES

RELEASES: Final = Path(__file__).parent

type Step = dict[str, Any]

ALICE: Final = {"user": "AIDAALICE", "userArn": "arn:aws:iam::123456789012:user/alice"}
BOB: Final = {"user": "AROABOB:bob", "userArn": "arn:aws:sts::123456789012:assumed-role/ops/bob"}


class Recorder:
    """Takes things through the functions and notes every step."""

    def __init__(self, opened: Account) -> None:
        self.account = opened
        self.steps: list[Step] = []
        self._known: State = opened.state()
        self.waiting: dict[str, list[str]] = {}
        self._told = 0

    def step(self, does: str, function: str, event: Mapping[str, Any]) -> Any:
        """Invoke a function, note all about it, and return its answer."""
        before = self.account.state()
        answer = self.account.invoke(function, event)
        sent, after = self.account.sent(), self.account.state()
        self.steps.append(
            {
                "does": does,
                "function": function,
                "now": self.account.now.isoformat(),
                "before": changed(self._known, before),
                "event": deepcopy(event),
                "answer": answer,
                "sent": sent,
                "after": changed(before, after),
            }
        )
        self._known = after
        self.account.now += timedelta(seconds=1)
        for queue, bodies in sent.items():
            self.waiting.setdefault(queue, []).extend(bodies)
        return answer

    def ask(
        self,
        method: str,
        resource: str,
        body: Mapping[str, Any] | None = None,
        *,
        by: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        **parameters: str,
    ) -> dict[str, Any]:
        """Send a request to the API and return the document that is answered."""
        event = load("api_post_payment")
        event["resource"] = resource
        event["path"] = resource.format_map(parameters)
        event["httpMethod"] = method
        event["pathParameters"] = parameters or None
        event["queryStringParameters"] = query
        event["multiValueQueryStringParameters"] = query and {k: [v] for k, v in query.items()}
        event["body"] = None if body is None else json.dumps(body)
        event["requestContext"] |= {"resourcePath": resource, "httpMethod": method}
        event["requestContext"]["path"] = f"/dev{event['path']}"
        event["requestContext"]["identity"] |= by or {}
        answer = self.step(f"{method} {resource}", "api-handler", event)
        assert answer["statusCode"] < 400, answer
        document: dict[str, Any] = json.loads(answer["body"])
        return document

    def deliver(self, queue: str = "payment-events-dev") -> None:
        """Deliver the messages that wait in a queue, each alone."""
        for body in self.waiting.pop(queue, []):
            event = sqs_event(body, queue=queue)
            answer = self.step(f"message of {queue}", "payment-processor", event)
            assert answer == {"batchItemFailures": []}, answer

    def pay(self, payment_id: str, amount: str, **more: Any) -> None:
        """Pay over the API, up to what one try can do."""
        self.ask(
            *("POST", "/payments"),
            {"payment_id": payment_id, "amount": amount, "currency": "USD", **more},
        )
        self.deliver()

    def work(self, machine: Machine, state: str, data: Any, **context: Any) -> Any:
        """Carry out a task of a workflow, with what its definition hands to the function."""
        definition = machine.definition["States"].get(state)
        if definition is None:
            (inner,) = (
                each["ItemProcessor"]["States"]
                for each in machine.definition["States"].values()
                if "ItemProcessor" in each
            )
            definition = inner[state]
        execution = self.last_execution["name"]
        told = {
            "Execution": {"Id": f"{machine.execution_arn}:{execution}"},
            "State": {"RetryCount": 0},
            **context,
        }
        payload = filled(definition["Parameters"]["Payload"], data, told)
        function = definition["Parameters"]["FunctionName"]
        return self.step(f"{machine.name}: {state}", function, payload)

    @property
    def last_execution(self) -> dict[str, str]:
        """The execution that was started last."""
        return list(self.account.executions())[-1]

    def execution(self) -> Any:
        """Return the input of the execution that was started last."""
        return json.loads(self.last_execution["input"])

    def die(self, machine: Machine, function: str) -> None:
        """Let the last execution run out of time, and EventBridge tell of it."""
        execution = self.last_execution
        event = {
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "detail": {
                "executionArn": f"{machine.execution_arn}:{execution['name']}",
                "name": execution["name"],
                "status": "TIMED_OUT",
                "input": execution["input"],
            },
        }
        self.step(f"death of an execution of {machine.name}", function, event)

    def announce(self) -> None:
        """Let the stream tell of every audit record that it has not told of."""
        records = sorted(self.account.state()[TABLES.audit_logs], key=lambda each: each["at"]["S"])
        fresh, self._told = records[self._told :], len(records)
        event = load("dynamodb_stream")
        template = event["Records"][0]
        event["Records"] = [
            {
                **template,
                "eventID": str(number),
                "eventName": "INSERT",
                "dynamodb": {
                    **template["dynamodb"],
                    "Keys": {name: image[name] for name in ("payment_id", "sequence")},
                    "NewImage": image,
                    "SequenceNumber": str(number),
                },
            }
            for number, image in enumerate(fresh)
        ]
        self.step("records of the stream", "event-publisher", event)

    def upload(self, key: str, text: str) -> tuple[dict[str, Any], int]:
        """Upload a file, and return the input of the workflow that it starts."""
        stored = self.account.clients.s3.put_object(Bucket=FILES, Key=key, Body=text.encode())
        event = load("s3_object_created")
        event["Records"][0]["s3"]["object"] |= {
            "key": key,
            "size": len(text),
            "versionId": stored["VersionId"],
        }
        self.step("upload of a file", "batch-processor", event)
        started = self.execution()
        return started["batch"], started["size"]

    def carry_out(self, key: str, text: str) -> None:
        """Take a file through its workflow, to the end of its batch."""
        batch, size = self.upload(key, text)
        machine = batch_machine()
        data: dict[str, Any] = {"batch": batch, "size": size, "plan": {"answer": None}}
        data["plan"]["answer"] = plan = self.work(machine, "Plan", data)
        assert plan["planned"], plan
        for each in plan["ranges"]:
            item = {"batch": batch, "columns": plan["columns"], "range": each}
            self.work(machine, "Range", item)
        data["progress"] = {"answer": {"wait_seconds": 0, "reported": {"shards": 0, "files": 0}}}
        self.work(machine, "Follow", data)
        self.deliver("payment-rows-dev")
        # What a row asks for may wait in the other queue, too.
        self.deliver()
        while not (answer := self.work(machine, "Follow", data))["settled"]:
            data["progress"]["answer"] = answer
        self.ask("GET", "/batches/{batch_id}", batch_id=batch["batch_id"])


def filled(template: Mapping[str, Any], data: Any, context: Any) -> dict[str, Any]:
    """Return a payload with its paths replaced by what they lead to."""

    def at(path: str) -> Any:
        root, *names = path.split(".")
        found = context if root == "$$" else data
        for name in names:
            found = found[name]
        return found

    return {
        name.removesuffix(".$"): at(value) if name.endswith(".$") else value
        for name, value in template.items()
    }


def changed(before: State, after: State) -> State:
    """Return what is new in a state, or different; nothing is ever taken away.

    ``before`` of a step is what has changed since the step before it, ``after`` what the step changed.
    """
    return {
        kind: [each for each in found if each not in before[kind]] for kind, found in after.items()
    }


# --- what is recorded


def paid(recorder: Recorder) -> None:
    """Paid in one hop, looked up and listed."""
    recorder.pay("pay_plain", "99.99")
    recorder.ask("GET", "/payments/{payment_id}", payment_id="pay_plain")
    recorder.pay(
        *("pay_customer", "5.00"),
        processor_customer="cus_1",
        processor_payment_method="pm_1",
    )
    recorder.ask("GET", "/payments", query={"limit": "10"})
    recorder.announce()


def declined(recorder: Recorder) -> None:
    """Declined by the processor."""
    recorder.pay("pay_declined", "400.02")
    recorder.announce()


def answer_lost(recorder: Recorder) -> None:
    """Charged, but nobody knows: the workflow asks again."""
    recorder.pay("pay_lost", "500.02")
    recorder.work(payment_machine(), "Charge", recorder.execution())
    recorder.announce()


def processor_down(recorder: Recorder) -> None:
    """Never answered: the workflow settles it. Another one's execution dies."""
    recorder.pay("pay_down", "500.03")
    recorder.work(payment_machine(), "Charge", recorder.execution())
    recorder.die(payment_machine(), "payment-processor")
    recorder.deliver()
    recorder.work(payment_machine(), "Settle", recorder.execution())
    recorder.announce()


def waits(recorder: Recorder) -> None:
    """The processor is busy, then decides later; the sweep finds what is left open."""
    recorder.pay("pay_busy", "500.05")
    recorder.deliver()
    recorder.pay("pay_pending", "500.06")
    recorder.ask("POST", "/payments", {"payment_id": "pay_open", "amount": "1", "currency": "JPY"})
    recorder.waiting.clear()
    recorder.account.now += timedelta(hours=1)
    recorder.step("sweep", "payment-processor", {"action": "sweep"})
    recorder.deliver()


def refunded(recorder: Recorder) -> None:
    """Refunds: done, refused, unknown at first, and given back by the bank."""
    recorder.pay("pay_refund", "5000.00")
    resource, payment_id = "/payments/{payment_id}/refunds", "pay_refund"
    for refund_id, amount in (("r1", "10.00"), ("r2", "600.01"), ("r3", "600.02")):
        asked = {"refund_id": refund_id, "amount": amount, "reason": "returned goods"}
        recorder.ask("POST", resource, asked, payment_id=payment_id)
        recorder.deliver()
    recorder.work(payment_machine(), "Perform", recorder.execution())
    recorder.ask("POST", resource, {"refund_id": "r4", "amount": "600.04"}, payment_id=payment_id)
    recorder.deliver()
    recorder.die(payment_machine(), "payment-processor")
    recorder.deliver()
    recorder.work(payment_machine(), "Perform", recorder.execution())
    recorder.ask("GET", resource, payment_id=payment_id)
    recorder.ask("GET", f"{resource}/{{refund_id}}", payment_id=payment_id, refund_id="r3")
    recorder.ask("GET", "/payments/{payment_id}", payment_id=payment_id)
    recorder.announce()


def captured(recorder: Recorder) -> None:
    """Authorised, then captured in two parts; another one is canceled, a third expires."""
    recorder.pay("pay_capture", "100.00", capture="manual")
    resource = "/payments/{payment_id}/captures"
    for capture_id, amount, final in (("c1", "30.00", False), ("c2", "40.00", True)):
        asked = {"capture_id": capture_id, "amount": amount, "final": final}
        recorder.ask("POST", resource, asked, payment_id="pay_capture")
        recorder.deliver()
    recorder.pay("pay_cancel", "100.00", capture="manual")
    recorder.ask("POST", "/payments/{payment_id}/cancel", {}, payment_id="pay_cancel")
    recorder.deliver()
    recorder.pay("pay_expires", "100.00", capture="manual")
    recorder.announce()
    recorder.account.now += timedelta(days=60)
    recorder.step("sweep", "payment-processor", {"action": "sweep"})
    recorder.deliver()


def reviewed(recorder: Recorder) -> None:
    """Large payments, and a large refund, wait for a second person."""
    for payment_id, decision in (("pay_large", "approve"), ("pay_stop", "reject")):
        asked = {"payment_id": payment_id, "amount": "20000.00", "currency": "USD"}
        recorder.ask("POST", "/payments", asked, by=ALICE)
        recorder.deliver()
        recorder.ask(
            *("POST", "/payments/{payment_id}/review"),
            {"decision": decision, "note": "checked with finance"},
            by=BOB,
            payment_id=payment_id,
        )
        recorder.deliver()
    asked = {"refund_id": "large", "amount": "15000.00"}
    recorder.ask("POST", "/payments/{payment_id}/refunds", asked, by=ALICE, payment_id="pay_large")
    recorder.deliver()
    recorder.ask("GET", "/reviews")
    recorder.ask(
        *("POST", "/payments/{payment_id}/refunds/{refund_id}/review"),
        {"decision": "approve", "note": "agreed with the customer"},
        by=BOB,
        payment_id="pay_large",
        refund_id="large",
    )
    recorder.deliver()
    recorder.announce()


def filed(recorder: Recorder) -> None:
    """A file with good rows, bad ones, one that is declined and one with all columns."""
    recorder.carry_out(
        "march/payments.csv",
        "payment_id,amount,currency,memo,processor_customer,capture\n"
        "row_1,100.00,USD,rent,,\n"
        "row_2,50.00,EUR,,,manual\n"
        'row_3,1.005,USD,"two, words",,\n'
        "row_4,400.02,USD,,cus_1,\n"
        "row_1,7.00,USD,,,\n",
    )
    recorder.carry_out(
        "dry-run/payments.csv", "payment_id,amount,currency\nrow_1,100.00,USD\nrow_9,1,USD\n"
    )


def refunded_by_file(recorder: Recorder) -> None:
    """A file of refunds, and its dry run."""
    recorder.pay("pay_first", "100.00")
    recorder.pay("pay_second", "100.00")
    text = (
        "payment_id,refund_id,amount,reason\n"
        "pay_first,r1,10.00,returned goods\n"
        "pay_first,r2,200.00,\n"
        "pay_second,r1,,\n"
        "pay_nobody,r1,1.00,\n"
    )
    recorder.carry_out("dry-run/refunds/march.csv", text)
    recorder.carry_out("refunds/march.csv", text)


def files_that_fail(recorder: Recorder) -> None:
    """A file that is refused, and batches whose workflow dies or fails."""
    batch, size = recorder.upload("refused.csv", "payment_id,amount\nrow_1,1\n")
    data = {"batch": batch, "size": size, "plan": {"answer": None}}
    recorder.work(batch_machine(), "Plan", data)
    batch, size = recorder.upload("dies.csv", "payment_id,amount,currency\nrow_2,1,USD\n")
    data = {"batch": batch, "size": size, "plan": {"answer": None}}
    recorder.work(batch_machine(), "Plan", data)
    recorder.die(batch_machine(), "batch-processor")
    recorder.work(batch_machine(), "RecordFailure", data)


SCENARIOS: Final[tuple[Callable[[Recorder], None], ...]] = (
    paid,
    declined,
    answer_lost,
    processor_down,
    waits,
    refunded,
    captured,
    reviewed,
    filed,
    refunded_by_file,
    files_that_fail,
)


def record(scenario: Callable[[Recorder], None]) -> list[Step]:
    """Record a scenario in an account of its own, and return its steps."""
    with account() as opened:
        recorder = Recorder(opened)
        scenario(recorder)
    return recorder.steps


def missing(steps: Iterable[Step]) -> list[str]:
    """Return what this release has and these steps have not: states, statuses, kinds of items."""
    recorded = list(steps)
    text = json.dumps(recorded)
    operations = json.dumps([step["after"][TABLES.operations] for step in recorded])
    does = {step["does"] for step in recorded}
    tasks = {
        f"{machine.name}: {name}"
        for machine in (payment_machine(), batch_machine())
        for name, state in _states(machine.definition["States"])
        if "FunctionName" in state.get("Parameters", {})
    }
    # Turns are taken only where a real processor charges.
    prefixes = set(re.findall(r"``([a-z-]+#)", str(keys.__doc__))) - {"turn#"}
    return [
        *sorted(tasks - does),
        *(f"the status {each}" for each in PaymentStatus if f'"S": "{each}"' not in text),
        *(
            f"{each} of an operation"
            for each in OperationStatus
            if f'"S": "{each}"' not in operations
        ),
        *(f"an operation {each}" for each in OperationKind if f'"S": "{each}#' not in text),
        *(f"an item {each}" for each in sorted(prefixes) if f'"S": "{each}' not in text),
    ]


def _states(states: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, state in states.items():
        yield name, state
        yield from _states(state.get("ItemProcessor", {}).get("States", {}))


def main() -> int:
    """Record every scenario into the folder of this version; 1 if something has no recording."""
    folder = RELEASES / VERSION
    folder.mkdir(exist_ok=True)
    everything = []
    for scenario in SCENARIOS:
        with redirect_stdout(StringIO()):
            # Functions write their metrics there.
            steps = record(scenario)
        everything += steps
        text = json.dumps(steps, sort_keys=True, separators=(",", ":"))
        (folder / f"{scenario.__name__}.json").write_text(text + "\n")
        sys.stdout.write(f"{scenario.__name__}: {len(steps)} steps, {len(text):,} bytes\n")
    for each in (lacking := missing(everything)):
        sys.stdout.write(f"not recorded: {each}\n")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
