"""The examples in docstrings are true."""

import doctest
from types import ModuleType

import pytest

from operations import arns
from payments.core import fields, money


@pytest.mark.parametrize("module", [money, fields, arns], ids=["money", "fields", "arns"])
def test_the_examples_of_a_module_are_true(module: ModuleType) -> None:
    ran = doctest.testmod(module)
    assert ran.attempted
    assert not ran.failed
