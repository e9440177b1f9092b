"""Failures of AWS reach the rules in their own terms."""

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from payments.aws.payments import PaymentStore
from payments.core.faults import (
    ServiceUnavailable,
)
from tests.unit.cloud import Cloud, payment_request


class TestAWSFailures:
    """When AWS does not answer."""

    @pytest.mark.parametrize(
        "call",
        [
            lambda store: store.create(payment_request(), actor="api", at="2026-01-01"),
            lambda store: store.get("pay_1"),
            lambda store: store.history("pay_1"),
        ],
    )
    def test_an_aws_failure_is_told_in_the_domains_terms(
        self, call: Callable[[PaymentStore], object], store: PaymentStore, cloud: Cloud
    ) -> None:
        cloud.dynamodb.meta.events.register("before-call.dynamodb", throttle)
        with pytest.raises(ServiceUnavailable):
            call(store)

    @pytest.mark.parametrize(
        "reasons",
        [
            ["TransactionConflict"],
            ["TransactionConflict", "None", "ConditionalCheckFailed"],
            ["None", "ThrottlingError"],
        ],
    )
    def test_a_transaction_that_conflicts_is_tried_again(
        self, store: PaymentStore, cloud: Cloud, reasons: list[str]
    ) -> None:
        outcomes = iter([True, True, False])

        def conflict(**_: object) -> None:
            if next(outcomes):
                raise cloud.dynamodb.exceptions.TransactionCanceledException(
                    {
                        "Error": {"Code": "TransactionCanceledException"},
                        "CancellationReasons": [{"Code": reason} for reason in reasons],
                    },
                    "TransactWriteItems",
                )

        cloud.dynamodb.meta.events.register("before-call.dynamodb", conflict)
        _, created = store.create(payment_request(), actor="api", at="2026-01-01")
        assert created


def throttle(**_: object) -> None:
    raise ClientError({"Error": {"Code": "ThrottlingException"}}, "AnyOperation")
