"""Ids that look like each other's, or like names that the system makes itself."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from payments.batches.batch import Batch, ObjectVersion
from payments.core.operation import OperationKind, OperationRef
from tests.simulation.scenario import Content, Scenario, Upload

_SHARE_OF_WORLDS: Final = 0.2


def rename_some(random: Random, scenario: Scenario, *, bucket: str) -> None:
    """Give the payments of some runs such ids; ``bucket`` is where files are uploaded."""
    if random.random() >= _SHARE_OF_WORLDS:
        return
    ids = sorted({each.content.payment_id for each in scenario.submissions})
    names = [
        "PAY_0",
        "pay-0",
        "pay_0_",
        "0",
        "refund",
        "cancel-1",
        "open-payments",
        # An execution of the operation that somebody may ask for.
        *(OperationRef(each, OperationKind.REFUND, "r1").name for each in ids[:2]),
        # A batch, and what its folder of reports is called.
        *(Batch(ObjectVersion(bucket, upload.key, "v1")).batch_id for upload in scenario.uploads),
    ]
    # The first one keeps its id, which the others look like.
    new = dict(zip(ids[1:], random.sample(names, min(len(names), len(ids) - 1)), strict=False))

    def renamed(content: Content) -> Content:
        return replace(content, payment_id=new.get(content.payment_id, content.payment_id))

    scenario.submissions = [
        replace(each, content=renamed(each.content)) for each in scenario.submissions
    ]
    scenario.uploads = [_with_rows(each, renamed) for each in scenario.uploads]
    scenario.readers = [(at, new.get(each, each)) for at, each in scenario.readers]


def _with_rows(upload: Upload, changed: Callable[[Content], Content]) -> Upload:
    rows = tuple(changed(row) if isinstance(row, Content) else row for row in upload.rows)
    return replace(upload, rows=rows)
