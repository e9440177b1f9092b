"""What the functions carry is listed with its hashes, and under licences that were agreed to."""

import json
from pathlib import Path

import pytest

from lib.kit.assets import LAYER_DISTRIBUTIONS
from release import supply_chain


def test_the_bill_of_materials_lists_what_ships_with_its_hashes() -> None:
    lock = json.loads(supply_chain.LOCK.read_text())
    bill = json.loads(supply_chain.bill_of_materials(lock))
    assert bill["bomFormat"] == "CycloneDX"
    listed = {component["name"]: component for component in bill["components"]}
    assert set(listed) == set(LAYER_DISTRIBUTIONS)
    for name, component in listed.items():
        assert f"=={component['version']}" == lock["default"][name]["version"]
        assert "sha256" in json.dumps(component).lower().replace("sha-256", "sha256")
    assert supply_chain.bill_of_materials(lock) == supply_chain.bill_of_materials(lock)


def test_everything_in_the_lock_has_a_hash() -> None:
    lock = json.loads(supply_chain.LOCK.read_text())
    for group in ("default", "develop"):
        assert [name for name, each in lock[group].items() if not each.get("hashes")] == []


def test_what_ships_is_under_licences_of_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert supply_chain.main([str(tmp_path)]) == 0, capsys.readouterr().err
    assert len(json.loads((tmp_path / "licences.json").read_text())) == len(LAYER_DISTRIBUTIONS)


@pytest.mark.parametrize("licence", ["GPL-3.0", "UNKNOWN", "MIT License; GPL-3.0"])
def test_another_licence_is_refused(licence: str) -> None:
    found = [{"Name": "it", "Version": "1", "License": licence}]
    assert supply_chain.refused(found) == [f"it 1 is under {licence!r}, which is not on the list"]
