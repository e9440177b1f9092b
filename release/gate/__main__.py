"""Say whether a plan may be applied: ``python -m release.gate plan.json``.

Exit codes: 0 it may; 1 it is refused; 2 it could not be judged; 3 a second person decides.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from release.gate import accepted
from release.gate.plan import UnreadablePlanError, read
from release.gate.rules import Finding, Verdict, judge

APPLY, REFUSED, NOT_JUDGED, SECOND_PERSON = 0, 1, 2, 3

_HEADINGS: Final = {
    Verdict.REFUSED: "Refused",
    Verdict.SECOND_PERSON: "For a second person",
    Verdict.NOTED: "Noted",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge one plan and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m release.gate",
        description="Say whether a plan may be applied.",
        epilog="Exit codes: 0 it may; 1 it is refused; 2 it could not be judged; "
        "3 a second person decides.",
    )
    parser.add_argument("plan", type=Path, help="what `terraform show -json` printed; - for stdin")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    options = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if str(options.plan) == "-" else options.plan.read_text()
        findings = accepted.apply(judge(read(json.loads(text))), accepted.read())
    except (
        OSError,
        ValueError,
        UnreadablePlanError,
        accepted.UnreadableDecisionsError,
    ) as error:
        print(f"{options.plan}: {error}", file=sys.stderr)
        return NOT_JUDGED
    code = exit_code(findings)
    if options.json:
        told = [asdict(finding) for finding in findings]
        print(json.dumps({"exit_code": code, "findings": told}, indent=2))
    else:
        print(explained(findings))
    return code


def exit_code(findings: Sequence[Finding]) -> int:
    """Return what the command ends with."""
    verdicts = {finding.verdict for finding in findings}
    if Verdict.REFUSED in verdicts:
        return REFUSED
    return SECOND_PERSON if Verdict.SECOND_PERSON in verdicts else APPLY


def explained(findings: Sequence[Finding]) -> str:
    """Return the findings as Markdown, which a terminal and a pipeline's summary show alike."""
    if not findings:
        return "The plan changes nothing."
    counts = Counter(finding.verdict for finding in findings)
    lines = [", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)]
    for verdict, heading in _HEADINGS.items():
        told = [finding for finding in findings if finding.verdict is verdict]
        if told:
            lines += ["", f"**{heading}**", ""]
            lines += [_line(finding) for finding in told]
    return "\n".join(lines)


def _line(finding: Finding) -> str:
    return f"- {finding.sentence}" + (f" (`{finding.address}`)" if finding.address else "")


if __name__ == "__main__":
    sys.exit(main())
