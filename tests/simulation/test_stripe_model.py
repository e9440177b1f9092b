"""Charging through Stripe while everything goes wrong; ``make stripe-model`` runs 100,000."""

import pytest

from tests.simulation.stripe_model import DEFECTS, main, simulate


def test_every_payment_ends_as_its_money_did() -> None:
    result = simulate(range(1000))
    assert result.violations == {}
    assert result.ends.keys() == {
        "COMPLETED",
        "insufficient_funds",
        "authentication_required",
        "gateway_unavailable",
    }


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_careless_change_is_caught(defect: str) -> None:
    result = simulate(range(3000), defect, until_found=True)
    assert result.violations, f"{result.payments} payments did not show it"


def test_the_same_seed_is_the_same_payment() -> None:
    first, second = (simulate(range(40, 60), "no_fence") for _ in range(2))
    assert first == second


def test_the_command_tells_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--payments", "20", "--processes", "1"]) == 0
    assert "0 charged twice, 0 ended wrongly." in capsys.readouterr().out
    careless = ["--payments", "100", "--processes", "1", "--defect", "key_with_a_changing_part"]
    assert main(careless) == 1
    assert "keys for its intent" in capsys.readouterr().out
