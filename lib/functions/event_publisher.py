"""The function that announces what the audit trail records, invoked by the table's stream."""

from typing import Final

from cdktf_cdktf_provider_aws.lambda_event_source_mapping import (
    LambdaEventSourceMapping,
    LambdaEventSourceMappingDestinationConfig,
    LambdaEventSourceMappingDestinationConfigOnFailure,
    LambdaEventSourceMappingFilterCriteria,
    LambdaEventSourceMappingFilterCriteriaFilter,
)
from constructs import Construct

from lib.config import Function
from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.foundation.storage import Storage
from lib.kit.function import COUNT_EVENTS, FunctionCode, Limits, PythonFunction
from lib.kit.iam import Statement, compact_json

STREAM_BATCH_SIZE: Final = 100
LONGEST_WAIT_SECONDS: Final = 12 * 3600
"""How long an announcement is tried; a stream keeps its records for twice as long."""

ONLY_EVENTS: Final = {"dynamodb": {"NewImage": {"event_type": {"S": [{"exists": True}]}}}}
"""The records that announce something:
https://docs.aws.amazon.com/lambda/latest/dg/with-ddb-filtering.html"""


def add_event_publisher(
    scope: Construct,
    *,
    environment: Environment,
    code: FunctionCode,
    storage: Storage,
    messaging: Messaging,
) -> PythonFunction:
    """Make the function that announces, and let the audit trail's stream invoke it."""
    stream = storage.audit_logs_table.stream_arn
    function = PythonFunction(
        scope,
        Function.EVENT_PUBLISHER,
        environment=environment,
        code=code,
        description="Announces what the audit trail records to the topic of notifications",
        limits=Limits(timeout_seconds=60, memory_mb=512),
        variables={
            "NOTIFICATIONS_TOPIC_ARN": messaging.topic.arn,
            "ANNOUNCEMENTS_DLQ_URL": messaging.announcements_dead_letter_queue.url,
        },
        permissions=[
            Statement(
                sid="ReadStream",
                actions=(
                    "dynamodb:DescribeStream",
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator",
                ),
                resources=(stream,),
            ),
            Statement(
                # Lambda refuses the mapping without it:
                # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/iam-policy-example-lamda-process-dynamodb-streams.html
                sid="FindStream",
                actions=("dynamodb:ListStreams",),
                resources=(f"{storage.audit_logs_table.arn}/stream/*",),
            ),
            Statement(sid="Announce", actions=("sns:Publish",), resources=(messaging.topic.arn,)),
            Statement(
                sid="SetAside",
                actions=("sqs:SendMessage",),
                resources=(messaging.announcements_dead_letter_queue.arn,),
            ),
            environment.encryption.use_through("dynamodb", "sns", "sqs"),
        ],
    )
    mapping = LambdaEventSourceMapping(
        scope,
        "audit-stream",
        event_source_arn=stream,
        function_name=function.arn,
        starting_position="TRIM_HORIZON",
        batch_size=STREAM_BATCH_SIZE,
        # Records of one payment stay in order: they have one partition key.
        parallelization_factor=10,
        bisect_batch_on_function_error=True,
        maximum_record_age_in_seconds=LONGEST_WAIT_SECONDS,
        function_response_types=["ReportBatchItemFailures"],
        filter_criteria=LambdaEventSourceMappingFilterCriteria(
            filter=[LambdaEventSourceMappingFilterCriteriaFilter(pattern=compact_json(ONLY_EVENTS))]
        ),
        destination_config=LambdaEventSourceMappingDestinationConfig(
            on_failure=LambdaEventSourceMappingDestinationConfigOnFailure(
                destination_arn=messaging.announcements_dead_letter_queue.arn
            )
        ),
        metrics_config=COUNT_EVENTS,
    )
    function.event_sources.append(mapping)
    return function
