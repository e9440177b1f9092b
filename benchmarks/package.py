"""How large the functions' own zip is, and what the layer's distributions take."""

import tempfile
from pathlib import Path

from benchmarks.measurement import Measurement
from lib.kit.assets import function_archive, layer_archive, layer_sizes

MOST_BYTES = 600_000


def measure() -> list[Measurement]:
    """Measure the zips as they are deployed, which are not compressed."""
    with tempfile.TemporaryDirectory() as folder:
        own = function_archive(folder=Path(folder)).path.stat().st_size
        layer_bytes = layer_archive(folder=Path(folder)).path.stat().st_size
    parts = ", ".join(f"{name} {size / 1000:.0f} kB" for name, size in layer_sizes())
    return [
        Measurement(
            what="deployment package without third-party code",
            unit="kB",
            value=own / 1000,
            beside="what is allowed",
            beside_value=MOST_BYTES / 1000,
            at_most=1,
            notes=f"not compressed; the layer has {layer_bytes / 1000:.0f} kB,"
            f" its bytecode and {parts}",
        )
    ]
