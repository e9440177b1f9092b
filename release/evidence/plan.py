"""Plan production in an empty account, and judge the plan: ``python -m release.evidence.plan FOLDER``.

The account is the emulator's, so that it takes no access to AWS. The pipeline keeps the plans of the
real stages.
"""

import json
import sys
from pathlib import Path
from typing import Final

from local import emulator
from local.deployment import Deployment
from local.workspace import REPOSITORY, Workspace
from release.gate.__main__ import explained
from release.gate.plan import read
from release.gate.rules import judge
from release.stages import STAGES

WORKSPACE: Final = Workspace(state=REPOSITORY / ".local/evidence", suffix=STAGES[-1])


def main(folder: Path) -> int:
    """Write the plan, as Terraform's JSON, and what the gate says of it."""
    with emulator.exclusive(WORKSPACE):
        emulator.stop(WORKSPACE)
        started = emulator.start(WORKSPACE, port=emulator.free_port())
        try:
            deployment = Deployment(WORKSPACE, started)
            deployment.create_state_bucket()
            deployment.synthesise()
            deployment.initialise()
            plan = deployment.plan()
        finally:
            emulator.stop(WORKSPACE)
    (folder / "plan.json").write_text(json.dumps(plan, indent=1) + "\n")
    (folder / "gate.md").write_text(explained(judge(read(plan))) + "\n")
    print(f"{len(plan['resource_changes'])} resources are planned")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
