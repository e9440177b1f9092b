"""What must be so before CDKTF's bindings are imported."""

import os
import sys
from importlib.util import find_spec, module_from_spec

PROVIDER_PACKAGE = "cdktf_cdktf_provider_aws"
SILENCED_NODE_VERSIONS = "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"


def accept_node_20() -> None:
    """Spare users of Node.js 20, which this project supports, a banner of a dozen lines.

    jsii, on which CDKTF runs, prints it for every version in this list that it no longer tests.
    """
    os.environ.setdefault(SILENCED_NODE_VERSIONS, "20")


def skip_provider_index() -> None:
    """Put the provider's package into ``sys.modules`` without running its ``__init__``.

    That ``__init__`` imports all 2,135 submodules, which takes longer than everything else in a
    synthesis together; each submodule loads what it needs by itself. Without it, only the
    submodules that are named get imported, and the output is the same, byte for byte.
    """
    if PROVIDER_PACKAGE in sys.modules:
        return
    spec = find_spec(PROVIDER_PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(
            f"{PROVIDER_PACKAGE} is not installed; run `pipenv sync`", name=PROVIDER_PACKAGE
        )
    # The module knows its __path__ from the spec, which is all that importing submodules needs.
    sys.modules[PROVIDER_PACKAGE] = module_from_spec(spec)
