"""What the API handler runs on."""

from dataclasses import dataclass
from functools import cache

from payments.aws.lists import PaymentLists
from payments.batches.ports import Records
from payments.flows.intake import PaymentIntake
from payments.flows.listing import PaymentListing
from payments.flows.operations import OperationIntake
from payments.flows.review import RefundReviews, Reviews, WaitingList
from payments.runtime.batch_records import batch_store
from payments.runtime.clients import client
from payments.runtime.processor import processor_needs
from payments.runtime.queues import payment_queues
from payments.runtime.settings import review_limits, setting
from payments.runtime.stores import operation_store, payment_store
from payments.telemetry.metrics import count_operation, count_payment


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What requests are answered with."""

    intake: PaymentIntake
    operations: OperationIntake
    listing: PaymentListing
    batches: Records
    reviews: Reviews
    refund_reviews: RefundReviews
    waiting: WaitingList


@cache
def services() -> Services:
    """Return what requests are answered with."""
    lists = PaymentLists(client("dynamodb"), setting("PAYMENTS_TABLE"))
    return Services(
        intake=PaymentIntake(
            payment_store(),
            payment_queues(),
            tally=count_payment,
            limits=review_limits(),
            needs=processor_needs(),
        ),
        operations=OperationIntake(
            payment_store(),
            operation_store(),
            payment_queues(),
            tally=count_operation,
            payment_tally=count_payment,
            limits=review_limits(),
        ),
        listing=PaymentListing(lists, batch_store()),
        batches=batch_store(),
        reviews=Reviews(payment_store(), payment_queues()),
        refund_reviews=RefundReviews(
            payment_store(), operation_store(), payment_queues(), tally=count_operation
        ),
        waiting=WaitingList(payment_store(), operation_store(), lists),
    )
