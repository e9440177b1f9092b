"""A console with something on every page, as people see it."""

from typing import Any

from operations.console.uploads import Upload
from tests.unit.operations.console_server import Served, proof, story
from tests.unit.operations.fake_api import payment

BATCH_ID = "batch_3f3a1633ca5dc84af3f3e2ff4ccaf9dd"
PAGES = {
    "payments": "/payments",
    "payment": "/payments/pay_9f3c146f2f0e",
    "refund": "/payments/pay_9f3c146f2f0e/refund",
    "review": "/payments/pay_large/review",
    "capture": "/payments/pay_9f3c146f2f0e/capture",
    "cancel": "/payments/pay_9f3c146f2f0e/cancel",
    "pay": "/pay",
    "reviews": "/reviews",
    "refund review": "/payments/pay_9f3c146f2f01/refunds/re_7/review",
    "files": "/batches",
    "file": f"/batches/{BATCH_ID}",
    "books": "/books",
    "health": "/health",
    "unanswered": "/unanswered",
    "missing": "/payments/pay_none",
}
_ROWS = (
    ("99.99", "USD", "COMPLETED"),
    ("1250000", "JPY", "IN_REVIEW"),
    ("49.00", "EUR", "COMPLETED"),
    ("400.01", "USD", "FAILED"),
    ("12.500", "KWD", "PROCESSING"),
    ("8300.00", "EUR", "AUTHORIZED"),
    ("19.99", "USD", "CANCELED"),
)


_WAITING = [
    {
        "kind": "refund",
        "payment_id": "pay_9f3c146f2f01",
        "refund_id": "re_7",
        "amount": "18000.00",
        "currency": "USD",
        "reason": "returned",
        "submitted_by": "carol@example.com",
        "waits_since": "2026-03-12T18:20:11.123456Z",
    },
    {
        "kind": "payment",
        "payment_id": "pay_large",
        "amount": "25000.00",
        "currency": "EUR",
        "submitted_by": "anna",
        "waits_since": "2026-03-12T18:41:07.123456Z",
    },
    {
        "kind": "payment",
        "payment_id": "pay_9f3c146f2f05",
        "amount": "1250000",
        "currency": "JPY",
        "submitted_by": "bob@example.com",
        "waits_since": "2026-03-12T19:03:58.123456Z",
    },
]


def fill(serves: Served, suffix: str = "test") -> None:
    """Put something on every page."""
    rows = [
        payment(
            status,
            payment_id=f"pay_9f3c146f2f{number:02}",
            amount=amount,
            currency=currency,
            **({"failure_code": "insufficient_funds"} if status == "FAILED" else {}),
        )
        for number, (amount, currency, status) in enumerate(_ROWS)
    ]
    page = {"data": rows, "has_more": True, "next_cursor": "MjAyNi0wMy0xMl"}
    page["complete_until"] = "2026-03-12T19:08:01.123456Z"
    serves.api.on("GET /payments", (200, page))
    amounts = {
        "authorized": "99.99",
        "captured": "99.99",
        "refunded": "9.99",
        "refundable": "90.00",
    }
    operations: list[dict[str, Any]] = [
        {
            "kind": "refund",
            "operation_id": "re_1",
            "amount": "9.99",
            "status": "COMPLETED",
            "reason": "damaged",
        },
        {
            "kind": "refund",
            "operation_id": "re_2",
            "amount": "20.00",
            "status": "FAILED",
            "failure_code": "refund_declined",
        },
    ]
    paid = payment(payment_id="pay_9f3c146f2f0e", amounts=amounts, operations=operations)
    serves.api.on("GET /payments/pay_9f3c146f2f0e", (200, paid))
    serves.stories["pay_9f3c146f2f0e"] = story(paid)
    large = payment(
        "IN_REVIEW", payment_id="pay_large", amount="25000.00", currency="EUR", history=[]
    )
    serves.api.on("GET /payments/pay_large", (200, large))
    refund = {
        "kind": "refund",
        "operation_id": "re_7",
        "amount": "18000.00",
        "status": "IN_REVIEW",
        "requested_at": "2026-03-12T18:20:11.123456Z",
        "reason": "returned",
    }
    held = payment(payment_id="pay_9f3c146f2f01", amount="24000.00", operations=[refund])
    serves.api.on("GET /payments/pay_9f3c146f2f01", (200, held))
    serves.api.on("GET /payments/pay_9f3c146f2f01/refunds/re_7", (200, refund))
    serves.api.on("GET /reviews", (200, {"data": _WAITING, "has_more": False}))
    folder, bucket = f"{BATCH_ID}/rejected-00000.csv", f"payment-batch-results-{suffix}"
    serves.bucket.objects[bucket, folder] = (
        b"payment_id,amount,currency,note,[rejected line],[rejected field],[rejected code],"
        b"[rejected message],[rejected record]\n"
        b"pay 104,10.00,USD,rent,4,payment_id,invalid_format,must be letters and digits,\n"
        b"pay_105,1.000,EUR,rent,5,amount,ambiguous_amount,may mean one or a thousand,\n"
    )
    serves.api.on(f"GET /batches/{BATCH_ID}", (200, _batch(f"s3://{bucket}/{folder}")))
    serves.proofs[:] = [proof()]
    at = "2026-03-12T19:03:58.123456Z"
    serves.uploads.add(
        Upload(batch_id=BATCH_ID, name="march.csv", at=at, dry_run=True, key="dry-run/0/march.csv")
    )


def _batch(rejected: str) -> dict[str, Any]:
    return {
        "batch_id": BATCH_ID,
        "key": "dry-run/0/march.csv",
        "status": "COMPLETED",
        "dry_run": True,
        "rows": 8,
        "accepted": 6,
        "rejected": 2,
        "completed": 0,
        "failed": 0,
        "duplicate": 1,
        "conflict": 0,
        "accepted_amounts": {"EUR": "1050.00", "USD": "412.51"},
        "reports": {"summary": None, "rejected": [rejected], "not_paid": []},
    }


def running(**changes: Any) -> dict[str, Any]:
    """Return a batch that is on its way."""
    begun = {"status": "PROCESSING", "dry_run": False, "duplicate": 0, "accepted_amounts": {}}
    return {**_batch(""), **begun, **changes}
