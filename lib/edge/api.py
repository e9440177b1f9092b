"""The REST API: its routes, what it refuses by itself, and its stage."""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Final

from cdktf import (
    DefaultTokenResolver,
    StringConcat,
    TerraformResource,
    TerraformResourceLifecycle,
    Tokenization,
)
from cdktf_cdktf_provider_aws.api_gateway_deployment import ApiGatewayDeployment
from cdktf_cdktf_provider_aws.api_gateway_gateway_response import ApiGatewayGatewayResponse
from cdktf_cdktf_provider_aws.api_gateway_integration import ApiGatewayIntegration
from cdktf_cdktf_provider_aws.api_gateway_method import ApiGatewayMethod
from cdktf_cdktf_provider_aws.api_gateway_method_settings import (
    ApiGatewayMethodSettings,
    ApiGatewayMethodSettingsSettings,
)
from cdktf_cdktf_provider_aws.api_gateway_model import ApiGatewayModel
from cdktf_cdktf_provider_aws.api_gateway_request_validator import ApiGatewayRequestValidator
from cdktf_cdktf_provider_aws.api_gateway_resource import ApiGatewayResource
from cdktf_cdktf_provider_aws.api_gateway_rest_api import (
    ApiGatewayRestApi,
    ApiGatewayRestApiEndpointConfiguration,
)
from cdktf_cdktf_provider_aws.api_gateway_rest_api_policy import ApiGatewayRestApiPolicy
from cdktf_cdktf_provider_aws.api_gateway_stage import (
    ApiGatewayStage,
    ApiGatewayStageAccessLogSettings,
)
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from lib.edge.refusals import problems
from lib.environment import Environment
from lib.functions.compute import Compute
from lib.kit.function import PythonFunction
from lib.kit.iam import ANYBODY, Statement, compact_json, policy_json

# API Gateway refuses only what is no JSON object: the handler names all other faults together.
BODY_SCHEMA: Final = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "object"}

ACCESS_LOG_FORMAT: Final = {
    "request_id": "$context.requestId",
    "extended_request_id": "$context.extendedRequestId",
    "time": "$context.requestTime",
    "method": "$context.httpMethod",
    "route": "$context.resourcePath",
    "status": "$context.status",
    "error": "$context.error.responseType",
    "latency_ms": "$context.responseLatency",
    "integration_latency_ms": "$context.integrationLatency",
    "caller": "$context.identity.userArn",
    "source_ip": "$context.identity.sourceIp",
    "trace_id": "$context.xrayTraceId",
}


class Api(Construct):
    """The routes of payments and batches, all answered by one function."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        compute: Compute,
    ) -> None:
        super().__init__(scope, id_)
        self._environment = environment
        self._deployed: list[TerraformResource] = []
        self.rest_api = ApiGatewayRestApi(
            self,
            "rest-api",
            name=environment.name("payment-api"),
            description="Takes payments one at a time, and tells what became of them and of batches",
            endpoint_configuration=ApiGatewayRestApiEndpointConfiguration(types=["REGIONAL"]),
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )
        self._add_routes(compute.api_handler)
        self._add_gateway_responses()
        if environment.config.api_allowed_cidrs:
            self._allow_only(environment.config.api_allowed_cidrs)
        self.stage = self._add_stage()

    def _add_routes(self, handler: PythonFunction) -> None:
        validator = ApiGatewayRequestValidator(
            self,
            "validator",
            rest_api_id=self.rest_api.id,
            name=self._environment.name("payment-api"),
            validate_request_body=True,
            validate_request_parameters=True,
        )
        model = ApiGatewayModel(
            self,
            "payment-model",
            rest_api_id=self.rest_api.id,
            name="Payment",
            content_type="application/json",
            schema=compact_json(BODY_SCHEMA),
        )
        payments = self._add_path("payments", "payments", parent_id=self.rest_api.root_resource_id)
        payment = self._add_path("payment", "{payment_id}", parent_id=payments.id)
        batches = self._add_path("batches", "batches", parent_id=self.rest_api.root_resource_id)
        batch = self._add_path("batch", "{batch_id}", parent_id=batches.id)
        review = self._add_path("review", "review", parent_id=payment.id)
        self._deployed += [review, validator, model, payments, payment, batches, batch]
        post = partial(self._add_method, http_method="POST", validator=validator, model=model)
        get = partial(self._add_method, http_method="GET", validator=validator)
        submit_payment = post("submit-payment", payments)
        # Signed in every environment: without a signature nobody knows who decides.
        review_payment = post("review-payment", review, "payment_id", authorization="AWS_IAM")
        list_payments = get("list-payments", payments)
        read_payment = get("read-payment", payment, "payment_id")
        read_batch = get("read-batch", batch, "batch_id")
        refunds = self._add_path("refunds", "refunds", parent_id=payment.id)
        refund = self._add_path("refund", "{refund_id}", parent_id=refunds.id)
        captures = self._add_path("captures", "captures", parent_id=payment.id)
        cancel = self._add_path("cancel", "cancel", parent_id=payment.id)
        self._deployed += [refunds, refund, captures, cancel]
        refund_review = self._add_path("refund-review", "review", parent_id=refund.id)
        reviews = self._add_path("reviews", "reviews", parent_id=self.rest_api.root_resource_id)
        self._deployed += [refund_review, reviews]
        review_refund = post(
            "review-refund", refund_review, "payment_id", "refund_id", authorization="AWS_IAM"
        )
        list_reviews = get("list-reviews", reviews)
        self._integrate(list_reviews, handler, request_arn="GET/reviews")
        self._integrate(review_refund, handler, request_arn="POST/payments/*/refunds/*/review")
        read_refunds = get("read-refunds", refunds, "payment_id")
        read_refund = get("read-refund", refund, "payment_id", "refund_id")
        self._integrate(read_refunds, handler, request_arn="GET/payments/*/refunds")
        self._integrate(read_refund, handler, request_arn="GET/payments/*/refunds/*")
        for id_, resource in (("refund", refunds), ("capture", captures), ("cancel", cancel)):
            method = post(f"{id_}-payment", resource, "payment_id")
            route = resource.path_part_input
            self._integrate(method, handler, request_arn=f"POST/payments/*/{route}")
        # In the ARN of a request, a path parameter is written as "*".
        self._integrate(submit_payment, handler, request_arn="POST/payments")
        self._integrate(list_payments, handler, request_arn="GET/payments")
        self._integrate(review_payment, handler, request_arn="POST/payments/*/review")
        self._integrate(read_payment, handler, request_arn="GET/payments/*")
        self._integrate(read_batch, handler, request_arn="GET/batches/*")

    def _add_path(self, id_: str, path_part: str, *, parent_id: str) -> ApiGatewayResource:
        return ApiGatewayResource(
            self, id_, rest_api_id=self.rest_api.id, parent_id=parent_id, path_part=path_part
        )

    def _add_method(
        self,
        id_: str,
        resource: ApiGatewayResource,
        *path_parameters: str,
        http_method: str,
        validator: ApiGatewayRequestValidator,
        model: ApiGatewayModel | None = None,
        authorization: str | None = None,
    ) -> ApiGatewayMethod:
        """Add a method whose requests are validated, signed where the environment says so."""
        parameters = {f"method.request.path.{name}": True for name in path_parameters}
        return ApiGatewayMethod(
            self,
            id_,
            rest_api_id=self.rest_api.id,
            resource_id=resource.id,
            http_method=http_method,
            authorization=authorization or self._environment.profile.authorization,
            request_validator_id=validator.id,
            request_parameters=parameters or None,
            request_models={"application/json": model.name} if model else None,
        )

    def _integrate(
        self, method: ApiGatewayMethod, handler: PythonFunction, *, request_arn: str
    ) -> None:
        """Let the handler answer the method, and this stage's method call the handler."""
        integration = ApiGatewayIntegration(
            self,
            f"{method.node.id}-integration",
            rest_api_id=self.rest_api.id,
            resource_id=method.resource_id,
            http_method=method.http_method,
            type="AWS_PROXY",
            integration_http_method="POST",
            uri=handler.invoke_arn,
        )
        LambdaPermission(
            self,
            f"{method.node.id}-may-invoke",
            function_name=handler.name,
            qualifier=handler.qualifier,
            action="lambda:InvokeFunction",
            principal="apigateway.amazonaws.com",
            source_arn=f"{self.rest_api.execution_arn}/{self._environment.config.suffix}/{request_arn}",
            source_account=self._environment.arns.account,
        )
        self._deployed += [method, integration]

    def _add_gateway_responses(self) -> None:
        signed = self._environment.profile.authorization == "AWS_IAM"
        self._deployed += [
            ApiGatewayGatewayResponse(
                self,
                f"gateway-response-{problem.response_type.lower().replace('_', '-')}",
                rest_api_id=self.rest_api.id,
                response_type=problem.response_type,
                status_code=str(problem.status),
                response_parameters=problem.headers,
                response_templates={"application/json": problem.template},
            )
            for problem in problems(signed=signed)
        ]

    def _allow_only(self, networks: Sequence[str]) -> None:
        """Refuse whoever calls from elsewhere: with a policy, what it does not allow is denied.

        See https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
        """
        policy = ApiGatewayRestApiPolicy(
            self,
            "allowed-networks",
            rest_api_id=self.rest_api.id,
            policy=policy_json(
                Statement(
                    sid="AllowedNetworks",
                    principal=ANYBODY,
                    actions=("execute-api:Invoke",),
                    resources=(f"{self.rest_api.execution_arn}/*",),
                    conditions={"IpAddress": {"aws:SourceIp": networks}},
                )
            ),
        )
        self._deployed.append(policy)

    def _add_stage(self) -> ApiGatewayStage:
        profile = self._environment.profile
        deployment = ApiGatewayDeployment(
            self,
            "deployment",
            rest_api_id=self.rest_api.id,
            # A deployment does not follow changes by itself.
            triggers={"redeployment": self._fingerprint()},
            depends_on=self._deployed,
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )
        stage = ApiGatewayStage(
            self,
            "stage",
            rest_api_id=self.rest_api.id,
            deployment_id=deployment.id,
            stage_name=self._environment.config.suffix,
            xray_tracing_enabled=True,
            access_log_settings=self._access_logs() if profile.api_access_logs else None,
        )
        ApiGatewayMethodSettings(
            self,
            "throttling",
            rest_api_id=self.rest_api.id,
            stage_name=stage.stage_name,
            method_path="*/*",
            settings=ApiGatewayMethodSettingsSettings(
                metrics_enabled=True,
                throttling_rate_limit=profile.throttle_rate,
                throttling_burst_limit=profile.throttle_burst,
            ),
        )
        return stage

    def _fingerprint(self) -> str:
        """Return a hash over everything that is said about each part of a deployment."""
        parts = [
            Tokenization.resolve(
                part.to_terraform(),
                resolver=DefaultTokenResolver(StringConcat()),
                scope=self,
                preparing=False,
            )
            for part in self._deployed
        ]
        return hashlib.sha256(compact_json(parts).encode()).hexdigest()

    def _access_logs(self) -> ApiGatewayStageAccessLogSettings:
        log_group = CloudwatchLogGroup(
            self,
            "access-logs",
            name=self._environment.config.api_log_group,
            retention_in_days=self._environment.profile.log_retention_days,
            kms_key_id=self._environment.key.arn,
        )
        return ApiGatewayStageAccessLogSettings(
            destination_arn=log_group.arn, format=compact_json(ACCESS_LOG_FORMAT)
        )
