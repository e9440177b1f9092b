"""The stack: one environment of the payment system."""

from cdktf import S3Backend, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags
from constructs import Construct

from lib.config import VERSION, StackConfig
from lib.edge.api import Api
from lib.edge.firewall import Firewall
from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.foundation.secrets import ProcessorKey
from lib.foundation.storage import Storage
from lib.foundation.subscriptions import Subscriptions
from lib.functions.compute import Compute
from lib.kit.arns import Arns
from lib.kit.encryption import Encryption
from lib.watch.monitoring import Monitoring
from lib.watch.watched import Watched
from lib.workflows.batch import BatchWorkflow
from lib.workflows.payment import PaymentWorkflow
from lib.workflows.processor_events import ProcessorEvents
from lib.workflows.sweep import Sweep


class TapStack(TerraformStack):
    """Everything that one environment needs to take payments."""

    def __init__(self, scope: Construct, id_: str, *, config: StackConfig) -> None:
        super().__init__(scope, id_)
        connect(self, config, state_key=config.state_key)
        environment = _environment(self, config)
        storage = Storage(self, "storage", environment=environment)
        messaging = Messaging(self, "messaging", environment=environment)
        subscriptions = Subscriptions(
            self, "subscriptions", environment=environment, messaging=messaging
        )
        key = (
            ProcessorKey(self, "processor-key", environment=environment) if config.stripe else None
        )
        compute = Compute(
            self,
            "compute",
            environment=environment,
            storage=storage,
            messaging=messaging,
            processor_key=key,
        )
        workflow = PaymentWorkflow(self, "workflow", environment=environment, compute=compute)
        batch_workflow = BatchWorkflow(
            self, "batch-workflow", environment=environment, messaging=messaging, compute=compute
        )
        if config.stripe and config.stripe.event_source:
            ProcessorEvents(
                self,
                "processor-events",
                environment=environment,
                source=config.stripe.event_source,
                compute=compute,
            )
        sweep = Sweep(self, "sweep", environment=environment, compute=compute)
        api = Api(self, "api", environment=environment, compute=compute)
        if environment.profile.firewall:
            Firewall(self, "firewall", environment=environment, api=api)
        watched = Watched(
            messaging=messaging,
            subscriptions=subscriptions,
            compute=compute,
            workflow=workflow,
            batch_workflow=batch_workflow,
            sweep=sweep,
            api=api,
        )
        Monitoring(self, "monitoring", environment=environment, watched=watched)
        _add_outputs(self, storage, watched)


def connect(stack: TerraformStack, config: StackConfig, *, state_key: str) -> None:
    """Name the region, the tags of every resource, and where the Terraform state is."""
    AwsProvider(
        stack,
        "aws",
        region=config.region,
        default_tags=[AwsProviderDefaultTags(tags=config.tags)],
    )
    backend = S3Backend(
        stack,
        bucket=config.state_bucket,
        key=state_key,
        region=config.state_bucket_region,
        encrypt=True,
    )
    # Terraform 1.10 locks with a file in the bucket; CDKTF has no argument for it yet.
    backend.add_override("use_lockfile", True)


def _environment(stack: TerraformStack, config: StackConfig) -> Environment:
    """Make the key, and return what every part of the stack is given."""
    account = DataAwsCallerIdentity(stack, "account").account_id
    arns = Arns(partition=config.partition, region=config.region, account=account)
    encryption = Encryption(stack, "encryption", config=config, arns=arns)
    return Environment(config=config, arns=arns, encryption=encryption)


def _add_outputs(stack: TerraformStack, storage: Storage, parts: Watched) -> None:
    """Name what people and tools need to know of a deployed environment."""
    outputs = {
        "version": VERSION,
        "api_url": parts.api.stage.invoke_url,
        "api_id": parts.api.rest_api.id,
        "batch_bucket": storage.batch_bucket.bucket,
        "batch_results_bucket": storage.batch_results_bucket.bucket,
        "payments_table": storage.payments_table.name,
        "processing_status_table": storage.processing_status_table.name,
        "audit_logs_table": storage.audit_logs_table.name,
        "payment_operations_table": storage.operations_table.name,
        "payment_events_queue_url": parts.messaging.events_queue.url,
        "payment_rows_queue_url": parts.messaging.rows_queue.url,
        "payment_events_dlq_url": parts.messaging.dead_letter_queue.url,
        "payment_notifications_topic_arn": parts.messaging.topic.arn,
        "payment_workflow_arn": parts.workflow.state_machine.arn,
        "batch_workflow_arn": parts.batch_workflow.state_machine.arn,
    }
    for name, value in outputs.items():
        TerraformOutput(stack, name, value=value)
