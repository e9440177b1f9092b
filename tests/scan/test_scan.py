"""The scan says so when it scanned nothing, and its HCL is the Terraform that it was given."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.scan import hcl
from tests.scan.checkov import (
    IAM_CHECKS,
    Finding,
    NothingScannedError,
    Waiver,
    read_reports,
    read_waivers,
    unused,
    unwaived,
)


def report(form: str, *, passed: int = 1, errors: int = 0, policies: int = 1) -> dict[str, Any]:
    looked_into = [
        {"check_id": check, "check_name": "", "resource": "aws_iam_role_policy.a"}
        for check in IAM_CHECKS
        for _ in range(policies)
    ]
    return {
        "check_type": form,
        "summary": {"passed": passed, "parsing_errors": errors},
        "results": {
            "passed_checks": looked_into if form == "terraform" else [],
            "failed_checks": [
                {"check_id": "CKV_1", "check_name": "a rule", "resource": "aws_s3_bucket.a"}
            ],
        },
    }


def test_findings_of_both_forms_count() -> None:
    findings, passed = read_reports([report("terraform_json"), report("terraform")], policies=1)
    assert passed == 2
    assert findings == [Finding(check="CKV_1", title="a rule", resource="aws_s3_bucket.a")] * 2


@pytest.mark.parametrize(
    "reports",
    [
        [],
        {"passed": 0, "failed": 0},
        [report("terraform_json")],
        [report("terraform_json"), report("terraform", passed=0)],
        [report("terraform_json", errors=1), report("terraform")],
        [report("terraform_json"), report("terraform", policies=0)],
    ],
    ids=["nothing", "no report", "one form", "none passed", "unreadable", "policies passed over"],
)
def test_a_scan_of_nothing_is_no_clean_scan(reports: Any) -> None:
    with pytest.raises(NothingScannedError):
        read_reports(reports, policies=1)


def test_a_waiver_is_for_one_check_and_some_resources() -> None:
    found = [
        Finding(check="CKV_1", title="", resource="aws_s3_bucket.logs"),
        Finding(check="CKV_1", title="", resource="aws_s3_bucket.batches"),
    ]
    waiver = Waiver(check="CKV_1", resource="logs", reason="because")
    assert unwaived(found, [waiver]) == found[1:]
    assert unused(found, [waiver]) == []
    assert unused(found[1:], [waiver]) == [waiver]


def test_every_waiver_has_a_reason() -> None:
    for waiver in read_waivers():
        assert len(waiver.reason) > 10


def test_hcl_spells_blocks_maps_and_policies() -> None:
    document = {
        "resource": {
            "aws_x": {
                "one": {
                    "//": {"metadata": {}},
                    "name": 'a "quoted" name',
                    "rule": [{"status": "Enabled"}, {"status": "Disabled"}],
                    "environment": {"variables": {"A": "${aws_y.two.name}"}},
                    "policy": json.dumps({"Resource": ["${aws_y.two.arn}:*"]}),
                    "depends_on": ["aws_y.two"],
                }
            }
        }
    }
    assert hcl.render(document) == (
        'resource "aws_x" "one" {\n'
        '  name = "a \\"quoted\\" name"\n'
        "  rule {\n"
        '    status = "Enabled"\n'
        "  }\n"
        "  rule {\n"
        '    status = "Disabled"\n'
        "  }\n"
        "  environment {\n"
        '    variables = {"A" = "${aws_y.two.name}"}\n'
        "  }\n"
        '  policy = jsonencode({"Resource" = ["arn:aws:scanned:::two:*"]})\n'
        "  depends_on = [aws_y.two]\n"
        "}\n"
    )


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not on the PATH")
def test_terraform_reads_the_hcl(tmp_path: Path) -> None:
    document = {"resource": {"aws_x": {"one": {"name": "a", "rule": [{"id": "b"}]}}}}
    (tmp_path / "main.tf").write_text(hcl.render(document))
    subprocess.run(["terraform", "fmt", "main.tf"], cwd=tmp_path, check=True, capture_output=True)
