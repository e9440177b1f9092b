"""What makes two requests the same payment: old hashes hold, and optional fields count."""

import pytest

from payments.core.content import Content

PLAIN = Content("pay_123456", 9999, "USD", 2)
CUSTOMER, METHOD = "cus_1", "pm_1"

HASHES_OF_OLDER_RELEASES = {
    PLAIN: "aa9541ce007cfc049afc15dc9c66551056b404fac5a5cf013fc37ee22eafd4e1",
    Content("p", 1, "JPY", 0): "20e3294d2ca7438e561faef540f5b04965147e00295599e0afef53c6adcf5912",
}
"""Recorded before there were optional fields."""

ITEM_OF_OLDER_RELEASES = {
    "payment_id": "pay_123456",
    "amount_minor": 9999,
    "currency": "USD",
    "exponent": 2,
}


@pytest.mark.parametrize(("content", "recorded"), HASHES_OF_OLDER_RELEASES.items())
def test_the_hash_of_a_payment_that_was_accepted_before_holds(
    content: Content, recorded: str
) -> None:
    assert content.hash == recorded


def test_what_was_stored_before_is_read_and_written_as_it_was() -> None:
    assert Content.from_dict(ITEM_OF_OLDER_RELEASES) == PLAIN
    assert PLAIN.to_dict() == ITEM_OF_OLDER_RELEASES


def test_every_optional_field_makes_another_payment() -> None:
    others = [
        PLAIN,
        PLAIN._replace(processor_customer=CUSTOMER),
        PLAIN._replace(processor_payment_method=CUSTOMER),
        PLAIN._replace(processor_payment_method=METHOD),
        PLAIN._replace(processor_customer=CUSTOMER, processor_payment_method=METHOD),
        PLAIN._replace(capture="manual"),
    ]
    assert len({content.hash for content in others}) == len(others)


def test_a_default_that_is_written_out_is_the_same_payment() -> None:
    assert PLAIN._replace(capture="automatic").hash == PLAIN.hash


@pytest.mark.parametrize(
    "content",
    [
        PLAIN._replace(processor_customer=CUSTOMER, processor_payment_method=METHOD),
        PLAIN._replace(capture="manual"),
    ],
)
def test_what_is_stored_is_read_back(content: Content) -> None:
    assert Content.from_dict(content.to_dict()) == content
    assert content.to_dict() == {**ITEM_OF_OLDER_RELEASES, **content.options}
    assert None not in content.to_dict().values()
