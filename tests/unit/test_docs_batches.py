"""Each file that docs/batches.md shows becomes what the page says."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from payments.batches.steps import BatchProcessing
from payments.core.messages import PaymentMessage, decode_message
from tests.unit.cloud import Cloud, process

PAGE = (Path(__file__).parents[2] / "docs/batches.md").read_text()
LINE_ENDS = {"crlf": "\r\n", "cr-cr-lf": "\r\r\n"}


class Example(NamedTuple):
    """A file of the page, and what the page says of it."""

    name: str
    content: bytes
    told: str


def _examples() -> list[Example]:
    examples = []
    for section in re.split(r"(?m)^### ", PAGE)[1:]:
        title, _, text = section.partition("\n")
        text = text.partition("\n## ")[0]
        blocks = re.findall(r"(?s)```csv([^\n]*)\n(.*?)```\n(.*?)(?=```|\Z)", text)
        assert blocks, title
        for how, content, told in blocks:
            words = how.split()
            encoding = next((word for word in words if word not in LINE_ENDS), "utf-8")
            end = next((LINE_ENDS[word] for word in words if word in LINE_ENDS), "\n")
            examples.append(Example(title, content.replace("\n", end).encode(encoding), told))
    return examples


def _told(example: Example, what: str) -> str:
    found = re.search(rf"(?m)^{what}: (.*)$", example.told)
    return found[1] if found else ""


@pytest.mark.parametrize("example", _examples(), ids=lambda example: example.name)
def test_an_example_becomes_what_the_page_says(
    example: Example, batches: BatchProcessing, cloud: Cloud
) -> None:
    batch = cloud.upload(example.content)
    process(batches, batch, len(example.content))
    messages = [decode_message(message["Body"]) for message in cloud.messages()]
    requests = [each.request for each in messages if isinstance(each, PaymentMessage)]
    paid = {(row.payment_id, row.content.amount, row.currency) for row in requests}
    assert paid == set(re.findall(r"`(\w+)` ([0-9.]+) ([A-Z]{3})", _told(example, "Paid")))
    rejected = set(re.findall(r"line (\d+) `(\w+)`", _told(example, "Rejected")))
    assert _rejected(cloud, batch.batch_id) == rejected
    refused = re.fullmatch(r'`(\w+)`, "(.*)"', _told(example, "Refused"))
    reason = _reason(cloud, batch.batch_id)
    assert (reason is None) == (refused is None)
    if reason is not None and refused is not None:
        assert reason["code"] == refused[1]
        assert refused[2] in reason["message"]
    assert paid or rejected or refused


def _rejected(cloud: Cloud, batch_id: str) -> set[tuple[str, str]]:
    listed = cloud.s3.list_objects_v2(Bucket="results", Prefix=f"{batch_id}/rejected").get(
        "Contents", []
    )
    return {
        (row["[rejected line]"], row["[rejected code]"])
        for entry in listed
        for row in csv.DictReader(
            io.StringIO(
                cloud.s3.get_object(Bucket="results", Key=entry["Key"])["Body"]
                .read()
                .decode("utf-8-sig")
            )
        )
    }


def _reason(cloud: Cloud, batch_id: str) -> dict[str, Any] | None:
    listed = cloud.s3.list_objects_v2(Bucket="results", Prefix=f"{batch_id}/summary").get(
        "Contents", []
    )
    if not listed:
        return None
    body = cloud.s3.get_object(Bucket="results", Key=f"{batch_id}/summary.json")["Body"].read()
    reason: dict[str, Any] | None = json.loads(body).get("reason")
    return reason
