"""The search for a provider mirror, and the settings that follow from it."""

from pathlib import Path

import pytest

from lib.provider_lock import HEADER, pinned_platforms, this_platform
from local import providers
from local.errors import RigError


def _mirror(root: Path, *, version: str = providers.VERSION) -> Path:
    (root / providers.PROVIDER / version / this_platform()).mkdir(parents=True)
    return root.resolve()


def _find(tmp_path: Path, environment: dict[str, str] | None = None) -> Path | None:
    isolated = {"XDG_DATA_DIRS": str(tmp_path / "xdg")}
    return providers.find_mirror(
        isolated | (environment or {}), home=tmp_path / "home", add_ons=[tmp_path / "opt"]
    )


def test_without_a_mirror_terraform_asks_the_registry_and_keeps_what_it_got(tmp_path: Path) -> None:
    assert _find(tmp_path) is None
    text = providers.settings(None, cache=tmp_path / "cache")
    assert "provider_installation" not in text
    assert f'plugin_cache_dir = "{tmp_path / "cache"}"' in text


def test_a_directory_that_was_named_comes_before_all_others(tmp_path: Path) -> None:
    _mirror(tmp_path / "home/.terraform.d/plugins")
    named = _mirror(tmp_path / "named")
    assert _find(tmp_path, {"TF_PLUGIN_DIR": str(named)}) == named


@pytest.mark.parametrize(
    "place",
    [
        "home/.terraform.d/plugins",
        "home/.local/share/terraform/plugins",
        "xdg/terraform/plugins",
        "opt/any-name",
        "opt/any-vendor/any-name",
    ],
)
def test_a_mirror_is_found_where_systems_keep_them(tmp_path: Path, place: str) -> None:
    mirror = _mirror(tmp_path / place)
    assert _find(tmp_path) == mirror


def test_a_mirror_may_hold_the_provider_as_a_zip_file(tmp_path: Path) -> None:
    folder = tmp_path / "opt/packed" / providers.PROVIDER
    folder.mkdir(parents=True)
    (folder / f"terraform-provider-aws_{providers.VERSION}_{this_platform()}.zip").touch()
    assert _find(tmp_path) == (tmp_path / "opt/packed").resolve()


def test_a_mirror_with_another_version_is_passed_over(tmp_path: Path) -> None:
    _mirror(tmp_path / "opt/old", version="4.67.0")
    assert _find(tmp_path) is None


def test_the_mirror_serves_our_provider_and_no_other(tmp_path: Path) -> None:
    text = providers.settings(tmp_path, cache=tmp_path / "cache")
    assert f'path    = "{tmp_path}"' in text
    assert f'include = ["{providers.PROVIDER}"]' in text
    assert f'exclude = ["{providers.PROVIDER}"]' in text


class Terraform:
    """A stand-in on the PATH: `providers lock` adds one checksum for each platform asked for."""

    def __init__(self, root: Path) -> None:
        self.asked = root / "asked"
        (root / "bin").mkdir()
        stub = root / "bin/terraform"
        stub.write_text(f"""#!/bin/sh
folder=${{1#-chdir=}}
echo "$@" >{self.asked}
lock="$folder/.terraform.lock.hcl"
[ -e "$lock" ] && kept=$(grep h1: "$lock") || kept=""
{{
    echo 'provider "registry.terraform.io/hashicorp/aws" {{'
    echo '  version     = "{providers.VERSION}"'
    echo '  hashes = ['
    [ -z "$kept" ] || echo "$kept"
    for word in "$@"; do
        case "$word" in -platform=*) echo "    \\"h1:${{word#-platform=}}\\"," ;; esac
    done
    echo '  ]'
    echo '}}'
}} >"$lock"
""")
        stub.chmod(0o755)
        self.environment = {"PATH": f"{stub.parent}:/usr/bin:/bin"}


@pytest.fixture
def terraform(tmp_path: Path) -> Terraform:
    return Terraform(tmp_path)


def test_with_a_mirror_the_package_there_is_pinned_for_this_machine(
    tmp_path: Path, terraform: Terraform
) -> None:
    mirror, lock = _mirror(tmp_path / "mirror"), tmp_path / "lock.hcl"
    environment = terraform.environment | {"TF_PLUGIN_DIR": str(mirror)}
    assert providers.write_lock(lock, environment=environment) == [this_platform()]
    assert f"-fs-mirror={mirror} -platform={this_platform()}\n" in terraform.asked.read_text()
    assert pinned_platforms(lock) == (this_platform(),)
    assert f'"h1:{this_platform()}"' in lock.read_text()


def test_without_a_mirror_the_registrys_packages_are_pinned_for_every_platform(
    tmp_path: Path, terraform: Terraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "find_mirror", lambda _: None)
    lock = tmp_path / "lock.hcl"
    providers.write_lock(lock, environment=terraform.environment)
    assert pinned_platforms(lock) == providers.PLATFORMS
    assert "-fs-mirror" not in terraform.asked.read_text()
    assert '"h1:darwin_arm64"' in lock.read_text()


@pytest.mark.parametrize(("version", "kept"), [(providers.VERSION, True), ("4.67.0", False)])
def test_what_is_pinned_of_this_version_for_other_machines_stays(
    tmp_path: Path, terraform: Terraform, version: str, *, kept: bool
) -> None:
    lock = tmp_path / "lock.hcl"
    lock.write_text(
        f'{HEADER}plan9_386\n\nprovider "aws" {{\n  version = "{version}"\n    "h1:plan9_386",\n}}\n'
    )
    environment = terraform.environment | {"TF_PLUGIN_DIR": str(_mirror(tmp_path / "mirror"))}
    providers.write_lock(lock, environment=environment)
    assert ("plan9_386" in pinned_platforms(lock)) is kept
    assert ('"h1:plan9_386"' in lock.read_text()) is kept
    assert this_platform() in pinned_platforms(lock)


def test_a_package_that_terraform_refuses_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "terraform").write_text("#!/bin/sh\necho no such package >&2\nexit 1\n")
    (tmp_path / "terraform").chmod(0o755)
    with pytest.raises(RigError, match="no such package"):
        providers.write_lock(tmp_path / "lock.hcl", environment={"PATH": f"{tmp_path}:/bin"})
    assert not (tmp_path / "lock.hcl").exists()
