"""The search for a provider mirror, and the settings that follow from it."""

from pathlib import Path

import pytest

from local import providers


def _mirror(root: Path, *, version: str = providers.VERSION) -> Path:
    (root / providers.PROVIDER / version / providers.target()).mkdir(parents=True)
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
    (folder / f"terraform-provider-aws_{providers.VERSION}_{providers.target()}.zip").touch()
    assert _find(tmp_path) == (tmp_path / "opt/packed").resolve()


def test_a_mirror_with_another_version_is_passed_over(tmp_path: Path) -> None:
    _mirror(tmp_path / "opt/old", version="4.67.0")
    assert _find(tmp_path) is None


def test_the_mirror_serves_our_provider_and_no_other(tmp_path: Path) -> None:
    text = providers.settings(tmp_path, cache=tmp_path / "cache")
    assert f'path    = "{tmp_path}"' in text
    assert f'include = ["{providers.PROVIDER}"]' in text
    assert f'exclude = ["{providers.PROVIDER}"]' in text
