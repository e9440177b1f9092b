"""The environment variables that programs of the rig are started with."""

import os
import re
import shlex
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from local.workspace import REPOSITORY

ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105 - the emulator's documented root key, of no use elsewhere

# Settings that lead AWS's SDKs and its command line to a cloud, an account or a file.
_AWS_PREFIXES = ("AWS_", "BOTO")
# Of these, what only shapes what the AWS CLI prints.
_HARMLESS = re.compile(r"AWS_PAGER|AWS_DEFAULT_OUTPUT|AWS_CLI_\w+")
# What an AWS setting of `aws_access` does not overrule, in a shell that was not asked itself.
_USUAL_INTERFERENCE = (
    "AWS_DEFAULT_PROFILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
)

# Settings of the machine that would reach another cloud, another Terraform or another Python.
_FOREIGN_PREFIXES = (*_AWS_PREFIXES, "TF_", "CDKTF_", "TERRAFORM_", "PIPENV_", "PYTHON")
_FOREIGN_NAMES = frozenset({"VIRTUAL_ENV", "ENVIRONMENT_SUFFIX"})

_NO_FILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
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
        **_NO_FILES,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": _LOOPBACK,
        "no_proxy": _LOOPBACK,
    }


def for_operations(machine: Mapping[str, str]) -> dict[str, str]:
    """Return what a command for on-call is started with, apart from `aws_access`."""
    return {name: value for name, value in machine.items() if not _interferes(name)}


def forget_aws(environment: MutableMapping[str, str]) -> None:
    """Take every AWS setting of the machine out of an environment, those in files included.

    For programs that speak to an AWS in their own process.
    """
    for name in [name for name in environment if _interferes(name)]:
        del environment[name]
    environment.update(_NO_FILES)


def shell_commands(variables: Mapping[str, str], machine: Mapping[str, str]) -> str:
    """Return commands for `eval` in a POSIX shell: set these variables, unset what interferes.

    Args:
        variables: what the shell shall have; `aws_access` and more.
        machine: what it has. Each of its AWS settings that `variables` does not replace is unset:
            a profile, the endpoint of one service or a token would lead elsewhere.
    """
    present = {name for name in machine if _interferes(name) and _SHELL_NAME.fullmatch(name)}
    unset = sorted(present.union(_USUAL_INTERFERENCE) - variables.keys())
    exports = (f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items()))
    return "\n".join([f"unset {' '.join(unset)}", *exports])


# POSIX allows any name in the environment, and a shell can neither have nor unset the others.
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def _interferes(name: str) -> bool:
    return name.startswith(_AWS_PREFIXES) and not _HARMLESS.fullmatch(name)


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
