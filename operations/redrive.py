"""``pipenv run redrive``: put dead letters that are payments back on the queue; keep the others."""

import argparse
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from operations import clients
from operations.failures import tell
from operations.options import add_environment
from payments.core.faults import InvalidMessage
from payments.core.messages import decode_message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_HIDDEN_SECONDS = 60


@dataclass(slots=True)
class Redriven:
    """Which payments went back, and the letters that are none: batches, and what nobody can read."""

    payments: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def redrive(client: "SQSClient", environment: str) -> Redriven:
    """Send each dead letter that is a payment to the queue again, then delete it.

    In this order a letter that is interrupted is sent twice, which is still one payment.
    """
    events = client.get_queue_url(QueueName=f"payment-events-{environment}")["QueueUrl"]
    dead = client.get_queue_url(QueueName=f"payment-events-dlq-{environment}")["QueueUrl"]
    done, kept = Redriven(), []
    while letters := client.receive_message(
        QueueUrl=dead, MaxNumberOfMessages=10, VisibilityTimeout=_HIDDEN_SECONDS, WaitTimeSeconds=1
    ).get("Messages"):
        for letter in letters:
            try:
                payment = decode_message(letter["Body"])
            except InvalidMessage:
                done.kept.append(letter["Body"])
                kept.append(letter["ReceiptHandle"])
                continue
            client.send_message(QueueUrl=events, MessageBody=letter["Body"])
            client.delete_message(QueueUrl=dead, ReceiptHandle=letter["ReceiptHandle"])
            done.payments.append(payment.request.payment_id)
    for receipt in kept:
        client.change_message_visibility(QueueUrl=dead, ReceiptHandle=receipt, VisibilityTimeout=0)
    return done


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 1 if letters remain that are no payments, 2 if it failed."""
    parser = argparse.ArgumentParser(prog="redrive", description=__doc__)
    add_environment(parser)
    options = parser.parse_args(arguments)
    try:
        done = redrive(clients.sqs(), options.env)
    except clients.AWS_FAILURES as error:
        return tell(f"The dead letters of {options.env!r} cannot be redriven", error)
    for payment_id in done.payments:
        print(f"back on the queue: {payment_id}")
    for body in done.kept:
        print(f"no payment, stays: {body}")
    print(f"{len(done.payments)} payments put back, {len(done.kept)} letters stay")
    return 1 if done.kept else 0


if __name__ == "__main__":
    sys.exit(main())
