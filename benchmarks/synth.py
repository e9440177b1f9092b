"""``python main.py`` as a whole, beside the same with the provider package imported as usual."""

import tempfile
from pathlib import Path

from benchmarks.measurement import Measurement, interleaved_seconds, run_python

RUNS = 3

_ENVIRONMENT = {
    "ENVIRONMENT_SUFFIX": "dev",
    "AWS_REGION": "us-east-1",
    "TERRAFORM_STATE_BUCKET": "acme-terraform-state",
    "TERRAFORM_STATE_BUCKET_REGION": "us-east-1",
}
_STOCK = "import cdktf_cdktf_provider_aws, runpy; runpy.run_path('main.py', run_name='__main__')"


def measure() -> list[Measurement]:
    """Measure whole processes whose caches are warm; both must write the same bytes."""
    with tempfile.TemporaryDirectory() as folder:

        def run(name: str, *arguments: str) -> None:
            # cdktf's own variable for where App writes to.
            environment = {**_ENVIRONMENT, "CDKTF_OUTDIR": str(Path(folder, name))}
            run_python(*arguments, environment=environment)

        def ours() -> None:
            run("ours", "main.py")

        def stock() -> None:
            run("stock", "-c", _STOCK)

        ours()
        stock()
        seconds, stock_seconds = interleaved_seconds(ours, stock, runs=RUNS)
        _require_same(Path(folder, "ours"), Path(folder, "stock"))
    return [
        Measurement(
            what="python main.py, the whole process",
            unit="syntheses/min",
            value=60 / seconds,
            beside="provider package imported as usual",
            beside_value=60 / stock_seconds,
            at_least=3.5,
            notes=f"{seconds:.1f} s beside {stock_seconds:.1f} s, output the same byte for byte",
        )
    ]


def _require_same(one: Path, other: Path) -> None:
    contents = [
        {
            # Assets lie in the folder itself, and the Terraform names them by their path.
            file.relative_to(root): file.read_bytes().replace(bytes(root), b"")
            for file in root.rglob("*")
            if file.is_file()
        }
        for root in (one, other)
    ]
    if not contents[0] or contents[0] != contents[1]:
        raise AssertionError("the two syntheses differ")
