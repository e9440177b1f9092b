"""The examples in docstrings are true."""

import doctest
from types import ModuleType

import pytest

from operations import arns, screen
from operations.console import views
from payments.core import fields, money


@pytest.mark.parametrize(
    "module",
    [money, fields, arns, screen, views],
    ids=["money", "fields", "arns", "screen", "views"],
)
def test_the_examples_of_a_module_are_true(module: ModuleType) -> None:
    ran = doctest.testmod(module)
    assert ran.attempted
    assert not ran.failed
