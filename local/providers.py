"""Where Terraform gets its AWS provider from: a mirror on this machine, or the registry."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from local.errors import RigError
from local.workspace import REPOSITORY

# What cdktf-cdktf-provider-aws 20.1.0 was generated from.
PROVIDER = "registry.terraform.io/hashicorp/aws"
VERSION = "5.100.0"

# Where systems and images keep add-on software.
ADD_ON_DIRECTORIES = tuple(
    map(Path, ("/opt", "/usr/local", "/usr/local/share", "/usr/local/lib", "/usr/share", "/srv"))
)

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def target() -> str:
    """Return this machine's platform as Terraform writes it, such as `linux_amd64`."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}_{_MACHINES.get(machine, machine)}"


def holds_provider(mirror: Path) -> bool:
    """Whether a directory is a filesystem mirror with our provider for this machine.

    Knows both layouts of a mirror, unpacked and packed:
    https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror
    """
    provider = mirror / PROVIDER
    packed = provider / f"terraform-provider-aws_{VERSION}_{target()}.zip"
    return (provider / VERSION / target()).is_dir() or packed.is_file()


def candidates(
    environment: Mapping[str, str], *, home: Path, add_ons: Iterable[Path] = ADD_ON_DIRECTORIES
) -> Iterator[Path]:
    """Yield directories that may be mirrors, the most deliberate choice first.

    Args:
        environment: where TF_PLUGIN_DIR and the XDG variables are looked up.
        home: the user's home directory.
        add_ons: directories whose children and grandchildren may be mirrors.
    """
    if named := environment.get("TF_PLUGIN_DIR"):
        yield Path(named)
    # The implied mirrors of Terraform, on Linux and on macOS.
    yield home / ".terraform.d/plugins"
    yield home / "Library/Application Support/io.terraform/plugins"
    yield Path("/Library/Application Support/io.terraform/plugins")
    shared = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    own = environment.get("XDG_DATA_HOME") or str(home / ".local/share")
    for data in (own, *shared.split(":")):
        yield Path(data) / "terraform/plugins"
    for directory in add_ons:
        for pattern in ("*", "*/*"):
            for found in sorted(directory.glob(f"{pattern}/{PROVIDER.partition('/')[0]}")):
                yield found.parent


def find_mirror(
    environment: Mapping[str, str],
    *,
    home: Path | None = None,
    add_ons: Iterable[Path] = ADD_ON_DIRECTORIES,
) -> Path | None:
    """Return the first mirror on this machine that holds our provider, None if there is none."""
    places = candidates(environment, home=home or Path.home(), add_ons=add_ons)
    return next((place.resolve() for place in places if holds_provider(place)), None)


def settings(mirror: Path | None, *, cache: Path) -> str:
    """Return the text of a Terraform CLI configuration file.

    Args:
        mirror: directory to take the provider from; None leaves it to the registry.
        cache: directory where a provider from the registry is kept for the next time.
    """
    if mirror is None:
        return f'disable_checkpoint = true\nplugin_cache_dir = "{cache}"\n'
    return f"""disable_checkpoint = true

provider_installation {{
  filesystem_mirror {{
    path    = "{mirror}"
    include = ["{PROVIDER}"]
  }}
  direct {{
    exclude = ["{PROVIDER}"]
  }}
}}
"""


def write_settings(path: Path, *, environment: Mapping[str, str] | None = None) -> Path | None:
    """Write Terraform's CLI configuration file for this machine and return the mirror it names.

    Terraform reads it when TF_CLI_CONFIG_FILE names it. Also of use to tests that run
    `terraform validate`.
    """
    machine = os.environ if environment is None else environment
    mirror = find_mirror(machine)
    if mirror and '"' in str(mirror):
        raise RigError(f"The provider mirror has a quote in its name: {mirror}")
    cache = REPOSITORY / ".local/terraform-plugins"
    cache.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(settings(mirror, cache=cache))
    return mirror
