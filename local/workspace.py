"""Where one local environment keeps its files."""

from dataclasses import dataclass
from pathlib import Path

from lib.config import LOCAL

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """One local environment: its name and its directory of state.

    Two workspaces with different directories run side by side; the end-to-end tests use that.
    """

    state: Path = REPOSITORY / ".local"
    suffix: str = LOCAL
    region: str = "us-east-1"

    @property
    def state_bucket(self) -> str:
        """Name of the bucket that holds the Terraform state, inside the emulator."""
        return f"terraform-state-{self.suffix}"

    @property
    def emulator_record(self) -> Path:
        """File that remembers which process is our emulator."""
        return self.state / "emulator.json"

    @property
    def stripe_record(self) -> Path:
        """File that remembers which process is our double of Stripe."""
        return self.state / "stripe.json"

    @property
    def emulator_data(self) -> Path:
        """Directory for whatever the emulator writes; emptied at each start."""
        return self.state / "emulator"

    @property
    def authority(self) -> Path:
        """Certificate (PEM) of the authority that vouches for the emulator."""
        return self.state / "ca.pem"

    @property
    def logs(self) -> Path:
        """Directory of log files, one for each step."""
        return self.state / "logs"

    @property
    def terraform_settings(self) -> Path:
        """Terraform's CLI configuration file."""
        return self.state / "terraformrc"

    @property
    def synthesised(self) -> Path:
        """Output directory of `cdktf synth`."""
        return self.state / "cdktf.out"

    @property
    def deployment_record(self) -> Path:
        """File that remembers what was deployed, and its outputs."""
        return self.state / "deployment.json"
