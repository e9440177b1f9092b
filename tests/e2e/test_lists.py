"""Lists of payments on the deployed stack, from its real indexes and with the function's own role."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from local import batches
from tests.e2e.environment import Environment, eventually

type Query = dict[str, str]


def page(environment: Environment, **query: str) -> dict[str, Any]:
    answer = environment.api.request("GET", f"/payments?{urlencode(query)}")
    assert answer.status == 200, answer.json()
    listed: dict[str, Any] = answer.json()
    return listed


def everything(environment: Environment, **query: str) -> list[dict[str, Any]]:
    found, told = list[dict[str, Any]](), page(environment, **query)
    while told["has_more"]:
        found += told["data"]
        told = page(environment, **query, cursor=told["next_cursor"])
    return [*found, *told["data"]]


def test_payments_are_listed_the_newest_first_page_by_page(
    environment: Environment, payment_id: Callable[[], str], tmp_path: Path
) -> None:
    begin = (datetime.now(UTC) - timedelta(seconds=5)).isoformat(timespec="microseconds")
    names = [payment_id() for _ in range(5)]
    amounts = ("10.00", "400.01", "12.00", "13.00", "14.00")
    for name, amount, currency in zip(
        names, amounts, ("USD", "USD", "CHF", "USD", "CHF"), strict=True
    ):
        environment.api.submit({"payment_id": name, "amount": amount, "currency": currency})
        environment.api.final(name)
    rows = [payment_id() for _ in range(3)]
    file = tmp_path / "listed.csv"
    file.write_text("payment_id,amount,currency\n" + "".join(f"{name},1.00,USD\n" for name in rows))
    batch_id = batches.upload(environment.deployment, file)
    for name in rows:
        eventually(
            lambda name=name: (
                environment.api.request("GET", f"/payments/{name}").status == 200  # type: ignore[misc]  # bound now
                or None
            ),
            patience=60,
        )
        environment.api.final(name)

    def listed(limit: int, **query: str) -> list[str]:
        told = everything(environment, limit=str(limit), created_from=begin, **query)
        ours = {*names, *rows}
        return [each["payment_id"] for each in told if each["payment_id"] in ours]

    for limit in (1, 2, 100):
        assert listed(limit)[-5:] == names[::-1]
        assert sorted(listed(limit)) == sorted([*names, *rows])
    assert listed(2, currency="CHF") == [names[4], names[2]]
    assert listed(2, status="FAILED") == [names[1]]
    assert sorted(listed(2, batch_id=batch_id)) == sorted(rows)
    assert listed(2, status="PENDING") == []

    first = page(environment, limit="1", created_from=begin)
    moved = urlencode({"cursor": first["next_cursor"], "currency": "CHF"})
    refused = environment.api.request("GET", f"/payments?{moved}")
    assert refused.status == 400
    assert [error["code"] for error in refused.json()["errors"]] == ["invalid_cursor"]
