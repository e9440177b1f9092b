"""Where Terraform gets its AWS provider from: a mirror on this machine, or the registry."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lib.provider_lock import HEADER, LOCK, pinned_platforms, this_platform
from local import surroundings
from local.errors import RigError
from local.workspace import REPOSITORY

# What cdktf-cdktf-provider-aws 20.1.0 was generated from.
PROVIDER = "registry.terraform.io/hashicorp/aws"
VERSION = "5.100.0"

# Where systems and images keep add-on software.
ADD_ON_DIRECTORIES = tuple(
    map(Path, ("/opt", "/usr/local", "/usr/local/share", "/usr/local/lib", "/usr/share", "/srv"))
)

# What the registry's packages are pinned for; a mirror only has this machine's.
PLATFORMS = ("darwin_amd64", "darwin_arm64", "linux_amd64", "linux_arm64")


def holds_provider(mirror: Path) -> bool:
    """Whether a directory is a filesystem mirror with our provider for this machine.

    Knows both layouts of a mirror, unpacked and packed:
    https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror
    """
    provider = mirror / PROVIDER
    packed = provider / f"terraform-provider-aws_{VERSION}_{this_platform()}.zip"
    return (provider / VERSION / this_platform()).is_dir() or packed.is_file()


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


def write_lock(lock: Path = LOCK, *, environment: Mapping[str, str] | None = None) -> list[str]:
    """Pin the provider's checksums in a lock file and return the platforms that it then covers.

    With a mirror these are the checksums of this machine's package there; otherwise those of the
    registry's packages for all of `PLATFORMS`. What the file lists of this version is kept.

    Raises:
        RigError: Terraform got no package, or one that does not match what the file lists.
    """
    machine = os.environ if environment is None else environment
    mirror = find_mirror(machine)
    platforms = [this_platform()] if mirror else [*PLATFORMS]
    source = [f"-fs-mirror={mirror}"] if mirror else []
    kept = lock.read_text() if lock.is_file() else ""
    asked = {"required_providers": {"aws": {"source": "hashicorp/aws", "version": VERSION}}}
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / LOCK.name
        (written.parent / "main.tf.json").write_text(json.dumps({"terraform": asked}))
        if f'"{VERSION}"' in kept:
            written.write_text(kept)
            platforms = sorted({*platforms, *pinned_platforms(lock)})
        new = [platform for platform in platforms if not mirror or platform == this_platform()]
        done = subprocess.run(
            [
                *("terraform", f"-chdir={folder}", "providers", "lock", "-no-color", *source),
                *(f"-platform={platform}" for platform in new),
            ],
            capture_output=True,
            check=False,
            env=surroundings.for_tools(machine),
            text=True,
        )
        if done.returncode:
            raise RigError(f"The provider could not be pinned:\n{done.stderr}")
        block = re.search(r"(?ms)^provider .*", written.read_text())
    if block is None:
        raise RigError(f"Terraform wrote a lock file without a provider:\n{done.stdout}")
    lock.write_text(
        "# The checksums that Terraform takes the AWS provider by. make lock writes this file.\n"
        f"{HEADER}{' '.join(platforms)}\n\n{block[0]}"
    )
    return platforms


def main() -> int:
    """Pin the provider and return the exit code."""
    try:
        platforms = write_lock()
    except RigError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{LOCK.name} pins the AWS provider {VERSION} for {', '.join(platforms)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
