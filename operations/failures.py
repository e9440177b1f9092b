"""Why a command cannot reach AWS, in words: one line that names the setting and what to do."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    ConnectionError,  # noqa: A004 - botocore's
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
)

from operations import screen
from operations.options import FAILED

_MOST_CHARACTERS: Final = 500

_PROFILES: Final = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")  # in botocore's order
_REGIONS: Final = ("AWS_DEFAULT_REGION", "AWS_REGION")
_FILES: Final = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")
_TRUST: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")

# The services' various codes for credentials that are unknown, wrong or over.
_REFUSED_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


class UnusableSettings(Exception):
    """A client cannot be made because a setting of the shell has a value that is not valid."""


def tell(what_failed: str, error: Exception) -> int:
    """Tell at the terminal in one line what failed and why, and return the exit code, ``FAILED``."""
    line = f"{what_failed}: {in_words(error, os.environ)}"
    screen.complain(line)
    return FAILED


def in_words(error: Exception, settings: Mapping[str, str]) -> str:
    """Return one line that says what is wrong, which variable is to blame, and what to do.

    Args:
        error: one of ``operations.clients.AWS_FAILURES``.
        settings: the environment variables that the client was made with. No value of a key or
            token is ever told.
    """
    told = (
        _about_settings(error, settings)
        or _about_credentials(error, settings)
        or _about_the_connection(error, settings)
        or _about_anything_else(error, settings)
    )
    line = " ".join(told.split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}…"


def _about_settings(error: Exception, settings: Mapping[str, str]) -> str | None:
    match error:
        case ProfileNotFound(kwargs={"profile": profile}):
            name = _holding(_PROFILES, profile, settings) or "AWS_PROFILE"
            return (
                f"{name} names the AWS profile {profile!r}, which does not exist:"
                f" unset {name}, or set it to a profile that does"
            )
        case ConfigParseError(kwargs={"path": path}):
            named_by = next((name for name in _FILES if _is_at(settings.get(name), path)), None)
            also = f", or unset {named_by}, which names it" if named_by else ""
            return f"the AWS configuration file {path} cannot be read: correct it{also}"
        case NoRegionError():
            return "no region is set: set AWS_REGION, such as AWS_REGION=us-east-1"
        case InvalidRegionError(kwargs={"region_name": region}):
            name = _holding(_REGIONS, region, settings) or "the region of the AWS profile"
            return f"{name} is {region!r}, which is no region: set it to one, such as us-east-1"
        case UnusableSettings():
            wrong = {name: url for name, url in _endpoints(settings).items() if not _is_url(url)}
            return "; ".join(
                f"{name} is {url!r}, which is no URL: unset it, or set it to one such as"
                " https://localhost:4566"
                for name, url in wrong.items()
            )
        case _:
            return None


def _about_credentials(error: Exception, settings: Mapping[str, str]) -> str | None:
    match error:
        case NoCredentialsError():
            return (
                "there are no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and"
                " AWS_SECRET_ACCESS_KEY"
            )
        case PartialCredentialsError(kwargs={"provider": "env", "cred_var": missing}):
            return (
                f"AWS_ACCESS_KEY_ID is set, but {missing} is not: set both, or unset"
                " AWS_ACCESS_KEY_ID"
            )
        case PartialCredentialsError(kwargs={"provider": provider, "cred_var": missing}):
            return (
                f"{missing} is missing from the credentials ({provider}): add it, or set"
                " AWS_PROFILE to another profile"
            )
        case ClientError(response={"Error": {"Code": code}}) if code in _REFUSED_CREDENTIALS:
            names = [name for name in _KEYS if name in settings] or ["AWS_PROFILE"]
            return f"AWS refuses the credentials ({code}): correct or unset {', '.join(names)}"
        case _:
            return None


def _about_the_connection(error: Exception, settings: Mapping[str, str]) -> str | None:
    match error:
        case ProxyConnectionError(kwargs={"proxy_url": proxy}):
            name = _holding(_PROXIES, proxy, settings) or "HTTPS_PROXY"
            return f"the proxy that {name} names does not answer: correct or unset {name}"
        case SSLError(kwargs={"endpoint_url": url, "error": reason}):
            name = next((each for each in _TRUST if settings.get(each)), "AWS_CA_BUNDLE")
            return (
                f"the certificate of {_place(url)} cannot be checked ({reason}): set {name} to the"
                " file of the authority that issued it, or unset it for AWS itself"
            )
        case (
            ConnectionError(kwargs={"endpoint_url": url})
            | HTTPClientError(kwargs={"endpoint_url": url})
        ):
            return _no_answer(str(url), settings)
        case _:
            return None


def _no_answer(url: str, settings: Mapping[str, str]) -> str:
    for name, endpoint in _endpoints(settings).items():
        if _place(endpoint) == _place(url):
            starts = "run make up" if _is_local(url) else "start what should answer there"
            return (
                f"nothing answers at {_place(url)}, which {name} names: {starts}, or unset {name}"
            )
    return f"nothing answers at {_place(url)}: check the network and the region, AWS_REGION"


def _about_anything_else(error: Exception, settings: Mapping[str, str]) -> str:
    names = sorted(name for name in settings if name.startswith("AWS_"))
    # A service that answered understood the settings.
    if isinstance(error, BotoCoreError | UnusableSettings) and names:
        return f"{str(error).rstrip('.')}. The shell sets {', '.join(names)}: correct or unset what is wrong"
    return str(error)


def _holding(names: tuple[str, ...], value: str, settings: Mapping[str, str]) -> str | None:
    return next((name for name in names if settings.get(name) == value), None)


def _endpoints(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that name endpoints; those of one service come first, as for botocore."""
    names = sorted((name for name in settings if name.startswith("AWS_ENDPOINT_URL")), reverse=True)
    return {name: settings[name] for name in names if settings[name]}


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _place(url: str) -> str:
    """Return the part of a URL that is connected to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "127.0.0.1", "::1"} or host.endswith(".localhost")


def _is_at(setting: str | None, path: str) -> bool:
    return bool(setting) and Path(setting or "").expanduser() == Path(path).expanduser()
