"""One way to make a Lambda function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cdktf import App, AssetType, TerraformAsset, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.lambda_alias import LambdaAlias
from cdktf_cdktf_provider_aws.lambda_event_source_mapping import (
    LambdaEventSourceMapping,
    LambdaEventSourceMappingMetricsConfig,
)
from cdktf_cdktf_provider_aws.lambda_function import (
    LambdaFunction,
    LambdaFunctionEnvironment,
    LambdaFunctionTracingConfig,
)
from cdktf_cdktf_provider_aws.lambda_layer_version import LambdaLayerVersion
from constructs import Construct

from lib.config import Function
from lib.environment import Environment
from lib.kit.assets import Archive, function_archive, layer_archive
from lib.kit.iam import WRITE_TRACES, Statement
from lib.kit.role import ServiceRole

RUNTIME: Final = "python3.12"
ARCHITECTURE: Final = "arm64"
"""A fifth cheaper by the second than x86_64, and both zips are pure Python (``lib.kit.assets``)."""

ALIAS: Final = "live"
"""What everything that invokes a function asks for: a published version, never ``$LATEST``."""

COUNT_EVENTS: Final = LambdaEventSourceMappingMetricsConfig(metrics=["EventCount"])
"""What every mapping counts, failed events among it. To Lambda, an invocation that names messages
in ``batchItemFailures`` is no error:
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"""


class FunctionCode(Construct):
    """The one zip that serves all functions, and the layer with what they import."""

    def __init__(self, scope: Construct, id_: str, *, environment: Environment) -> None:
        super().__init__(scope, id_)
        folder = Path(App.of(self).outdir).resolve() / "assets"
        self.archive = function_archive(folder=folder)
        self.asset = _asset(self, "functions", self.archive)
        layer = layer_archive(folder=folder)
        self.layer = LambdaLayerVersion(
            self,
            "dependencies",
            layer_name=environment.name("payment-dependencies"),
            filename=_asset(self, "layer", layer).path,
            source_code_hash=layer.source_code_hash,
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[ARCHITECTURE],
            # Functions keep their old layer until they have the new one.
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )


def _asset(scope: Construct, id_: str, archive: Archive) -> TerraformAsset:
    return TerraformAsset(
        scope,
        id_,
        path=str(archive.path),
        type=AssetType.FILE,
        asset_hash=archive.hash,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a function may run, how often at once, and its memory, which also decides its CPU."""

    timeout_seconds: int
    memory_mb: int
    reserved_concurrency: int | None = None
    """Executions that are kept for it, and more than which it never gets."""


class PythonFunction(Construct):
    """A function with its log group, a role of its own, and an alias of its newest version.

    Terraform changes layer and variables first and code seconds later. Both happen to ``$LATEST``,
    which nobody invokes: the alias moves when the version with all of it is published.
    """

    def __init__(
        self,
        scope: Construct,
        function: Function,
        *,
        environment: Environment,
        code: FunctionCode,
        description: str,
        limits: Limits,
        variables: Mapping[str, str],
        permissions: Sequence[Statement],
    ) -> None:
        """Make the function ``{function}-{suffix}``.

        Its handler is ``handler`` in the module of the same name. ``permissions`` are those that
        its own code needs; logs, traces and reading its variables come with every function.
        """
        super().__init__(scope, function)
        self.short_name = function
        self.event_sources: list[LambdaEventSourceMapping] = []
        """Mappings that invoke it; what they failed to hand over counts as its errors."""
        log_group = CloudwatchLogGroup(
            self,
            "log-group",
            name=environment.config.function_log_group(function),
            retention_in_days=environment.profile.log_retention_days,
            kms_key_id=environment.key.arn,
        )
        role = ServiceRole(
            self,
            "role",
            environment=environment,
            name=function,
            service="lambda.amazonaws.com",
            permissions=[
                Statement(
                    sid="WriteOwnLogs",
                    actions=("logs:CreateLogStream", "logs:PutLogEvents"),
                    resources=(f"{log_group.arn}:*",),
                ),
                WRITE_TRACES,
                environment.encryption.decrypt_variables_of(
                    environment.arn("lambda", f"function:{function}")
                ),
                *permissions,
            ],
        )
        self.resource = LambdaFunction(
            self,
            "function",
            function_name=environment.name(function),
            description=description,
            role=role.role.arn,
            runtime=RUNTIME,
            architectures=[ARCHITECTURE],
            handler=f"{function.replace('-', '_')}.handler",
            publish=True,
            filename=code.asset.path,
            source_code_hash=code.archive.source_code_hash,
            layers=[code.layer.arn],
            timeout=limits.timeout_seconds,
            memory_size=limits.memory_mb,
            reserved_concurrent_executions=limits.reserved_concurrency,
            environment=LambdaFunctionEnvironment(
                variables={
                    "POWERTOOLS_SERVICE_NAME": function,
                    "POWERTOOLS_METRICS_NAMESPACE": environment.config.metrics_namespace,
                    "POWERTOOLS_LOG_LEVEL": "INFO",
                    **variables,
                }
            ),
            kms_key_arn=environment.key.arn,
            tracing_config=LambdaFunctionTracingConfig(mode="Active"),
            # Nothing may invoke it before its role may act, or its first events are lost.
            depends_on=[log_group, role.policy],
        )
        self.alias = LambdaAlias(
            self,
            "alias",
            name=ALIAS,
            description="The version that is invoked",
            function_name=self.resource.function_name,
            function_version=self.resource.version,
        )

    @property
    def name(self) -> str:
        """The function's name, as metrics count it: all its versions together."""
        return self.resource.function_name

    @property
    def arn(self) -> str:
        """The ARN to invoke: the alias's."""
        return self.alias.arn

    @property
    def invoke_arn(self) -> str:
        """The ARN by which API Gateway invokes: the alias's."""
        return self.alias.invoke_arn

    @property
    def qualifier(self) -> str:
        """The alias's name, for what is said about a function's name and a qualifier."""
        return self.alias.name
