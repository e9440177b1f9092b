"""A certificate authority for one emulator, made anew at each start."""

from pathlib import Path

import trustme

NAMES = ("localhost", "*.localhost", "*.execute-api.localhost", "127.0.0.1")


def issue(*, authority: Path, certificate: Path, key: Path) -> None:
    """Make an authority and a server certificate for this machine's loopback names.

    The authority's own key is never written, so nobody can issue another certificate with it.

    Args:
        authority: where the authority's certificate (PEM) goes.
        certificate: where the server's certificate chain (PEM) goes.
        key: where the server's private key (PEM) goes; readable by its owner only.
    """
    maker = trustme.CA(organization_name="payment-system local emulator")
    server = maker.issue_cert(*NAMES)
    maker.cert_pem.write_to_path(authority)
    certificate.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    key.touch(mode=0o600)
    key.chmod(0o600)
    key.write_bytes(server.private_key_pem.bytes())
