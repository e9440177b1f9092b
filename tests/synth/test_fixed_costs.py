"""What an environment costs by the month: the page shows what the model derives from the stack."""

import copy

import pytest

from benchmarks import fixed_costs
from benchmarks.cost import PAGE
from tests.synth.terraform import Stack

pytestmark = pytest.mark.xdist_group("synth")


def test_the_page_of_costs_shows_what_the_model_derives(dev: Stack, prod: Stack) -> None:
    page = PAGE.read_text()
    assert fixed_costs.rendered(page, disposable=dev.document, protected=prod.document) == page


def test_an_alarm_more_is_ten_cents_more(dev: Stack, prod: Stack) -> None:
    more = copy.deepcopy(prod.document)
    more["resource"]["aws_cloudwatch_metric_alarm"]["another"] = {}
    before = fixed_costs.fixed_lines(dev.document, prod.document)[-1]
    after = fixed_costs.fixed_lines(dev.document, more)[-1]
    assert before[1] == after[1]
    assert float(after[2]) - float(before[2]) == pytest.approx(0.10)


def test_only_the_web_acl_makes_a_protected_environment_dearer_by_nature(
    dev: Stack, prod: Stack
) -> None:
    disposable, protected = fixed_costs.counts(dev.document), fixed_costs.counts(prod.document)
    # The subscriptions' dead-letter queues have alarms; here, only protected ones have subscribers.
    dearer = {name for name in protected if protected[name] > disposable[name]}
    assert dearer == {"web ACL", "rule of the web ACL", "alarm"}


def test_a_stranger_pays_no_faster_than_the_throttle_lets_him(dev: Stack) -> None:
    day, month = fixed_costs.attack_lines(dev.document, usd_a_million=100.0)
    assert day[1:] == ["864,000", "86"]
    assert month[1:] == ["26,280,000", "2,628"]


def test_the_price_of_a_payment_is_the_one_on_the_page() -> None:
    assert fixed_costs.price_on("| sum | 1.00 |\n| all together | 1,071.18 | 170.68 |\n") == 1071.18
    with pytest.raises(ValueError, match="all together"):
        fixed_costs.price_on("no table")
