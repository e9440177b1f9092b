"""The environment variables that programs of the rig are started with."""

import os
from collections.abc import Mapping
from pathlib import Path

from local.workspace import REPOSITORY

ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105 - the emulator's documented root key, of no use elsewhere

# Settings of the machine that would reach another cloud, another Terraform or another Python.
_FOREIGN_PREFIXES = ("AWS_", "TF_", "CDKTF_", "TERRAFORM_", "PIPENV_", "PYTHON", "BOTO_")
_FOREIGN_NAMES = frozenset({"VIRTUAL_ENV", "ENVIRONMENT_SUFFIX"})

_LOOPBACK = "127.0.0.1,localhost,.localhost"


def aws_access(*, endpoint: str, authority: Path, region: str) -> dict[str, str]:
    """Return the variables that point every AWS client at the emulator, and nowhere else."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CA_BUNDLE": str(authority),
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": _LOOPBACK,
        "no_proxy": _LOOPBACK,
    }


def for_tools(machine: Mapping[str, str]) -> dict[str, str]:
    """Return what cdktf and Terraform are started with, apart from `aws_access`.

    Keeps proxies and certificate bundles: without a provider mirror, Terraform needs them to
    reach its registry.
    """
    kept = {
        name: value
        for name, value in machine.items()
        if not name.startswith(_FOREIGN_PREFIXES) and name not in _FOREIGN_NAMES
    }
    paths = (REPOSITORY / ".venv/bin", REPOSITORY / "node_modules/.bin")
    return kept | {
        "PATH": os.pathsep.join([*map(str, paths), machine.get("PATH", os.defpath)]),
        "CI": "1",  # plain lines instead of a screen that redraws itself
        "CHECKPOINT_DISABLE": "1",  # neither cdktf nor Terraform reports home
        "CDKTF_DISABLE_PLUGIN_CACHE_ENV": "1",  # the cache is named in terraformrc
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        "NO_COLOR": "1",
        "NODE_NO_WARNINGS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
    }


def for_emulator(machine: Mapping[str, str]) -> dict[str, str]:
    """Return what the emulator is started with, apart from `aws_access` and its own settings.

    Functions inherit the emulator's environment, so it gets next to nothing of the machine's.
    """
    kept = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT")
    return {name: machine[name] for name in kept if name in machine}
