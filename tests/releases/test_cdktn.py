"""The way out of CDKTF: the switch is two names, and a comparison that sees a difference."""

import json
from pathlib import Path

import pytest

from release.cdktn import __main__ as cdktn

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def switched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("switched")
    assert cdktn.switch(ROOT, folder) > 0
    return folder


def test_the_switch_leaves_nothing_of_cdktf_to_import(switched: Path) -> None:
    for file in switched.rglob("*.py"):
        text = file.read_text()
        assert "import cdktf" not in text
        assert "cdktf_cdktf" not in text
        assert "from cdktf" not in text
        compile(text, str(file), "exec")


def test_the_switch_changes_imports_and_nothing_else(switched: Path) -> None:
    for file in switched.rglob("*.py"):
        original = (ROOT / file.relative_to(switched)).read_text()
        changed = [
            old
            for old, new in zip(original.splitlines(), file.read_text().splitlines(), strict=True)
            if old != new
        ]
        assert all("import" in line or "PROVIDER_PACKAGE" in line for line in changed)


def synthesised(folder: Path, *, version: str, provider: str, table: str = "payments-dev") -> Path:
    stack = folder / "stacks/payment-processing-dev"
    (stack / "assets").mkdir(parents=True)
    (stack / "assets/code.zip").write_bytes(b"zip")
    document = {
        "//": {"metadata": {"version": version}},
        "terraform": {"required_providers": {"aws": {"source": "aws", "version": provider}}},
        "resource": {"aws_dynamodb_table": {"payments": {"name": table}}},
    }
    (stack / "cdk.tf.json").write_text(json.dumps(document))
    (folder / "manifest.json").write_text(json.dumps({"version": version}))
    return folder


def test_who_made_it_and_the_provider_may_differ(tmp_path: Path) -> None:
    before = synthesised(tmp_path / "before", version="0.21.0", provider="5.100.0")
    after = synthesised(tmp_path / "after", version="0.24.0", provider="6.69.1")
    expected, others = cdktn.compare(before, after)
    assert expected == [
        "//.metadata.version: 0.21.0 → 0.24.0",
        "terraform.required_providers.aws.version: 5.100.0 → 6.69.1",
    ]
    assert others == []


def test_every_other_difference_is_told(tmp_path: Path) -> None:
    before = synthesised(tmp_path / "before", version="0.21.0", provider="5")
    after = synthesised(tmp_path / "after", version="0.21.0", provider="5", table="orders-dev")
    stack = after / "stacks/payment-processing-dev"
    (stack / "assets/code.zip").write_bytes(b"other")
    (stack / "more.json").write_text("{}")
    _, others = cdktn.compare(before, after)
    assert others == [
        "stacks/payment-processing-dev/more.json is only under cdktn",
        "stacks/payment-processing-dev/assets/code.zip has other bytes",
        "resource.aws_dynamodb_table.payments.name: payments-dev → orders-dev",
    ]


def test_a_provider_that_cannot_be_downloaded_is_not_taken_for_a_valid_stack(
    tmp_path: Path,
) -> None:
    provider = {"aws": {"source": "registry.invalid/none/none", "version": "1.0.0"}}
    stack = {"terraform": {"required_providers": provider}}
    (tmp_path / "cdk.tf.json").write_text(json.dumps(stack))
    with pytest.raises(cdktn.NoProviderError, match=r"registry\.invalid"):
        cdktn.validate(tmp_path)
