"""The stack: one environment of the payment system."""

from cdktf import S3Backend, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags
from constructs import Construct

from lib.config import StackConfig
from lib.edge.api import Api
from lib.edge.firewall import Firewall
from lib.foundation.messaging import Messaging
from lib.foundation.storage import Storage
from lib.foundation.subscriptions import Subscriptions
from lib.functions.compute import Compute
from lib.kit.arns import Arns
from lib.kit.encryption import Encryption
from lib.watch.monitoring import Monitoring
from lib.watch.watched import Watched
from lib.workflows.batch import BatchWorkflow
from lib.workflows.payment import PaymentWorkflow
from lib.workflows.sweep import Sweep


class TapStack(TerraformStack):
    """Everything that one environment needs to take payments."""

    def __init__(self, scope: Construct, id_: str, *, config: StackConfig) -> None:
        super().__init__(scope, id_)
        AwsProvider(
            self,
            "aws",
            region=config.region,
            default_tags=[AwsProviderDefaultTags(tags=config.tags)],
        )
        backend = S3Backend(
            self,
            bucket=config.state_bucket,
            key=config.state_key,
            region=config.state_bucket_region,
            encrypt=True,
        )
        # Terraform 1.10 locks with a file in the bucket; CDKTF has no argument for it yet.
        backend.add_override("use_lockfile", True)
        arns = Arns(
            partition=config.partition,
            region=config.region,
            account=DataAwsCallerIdentity(self, "account").account_id,
        )

        encryption = Encryption(self, "encryption", config=config, arns=arns)
        storage = Storage(self, "storage", config=config, arns=arns, encryption=encryption)
        messaging = Messaging(self, "messaging", config=config, arns=arns, encryption=encryption)
        subscriptions = Subscriptions(
            self,
            "subscriptions",
            config=config,
            arns=arns,
            encryption=encryption,
            messaging=messaging,
        )
        compute = Compute(
            self,
            "compute",
            config=config,
            arns=arns,
            encryption=encryption,
            storage=storage,
            messaging=messaging,
        )
        workflow = PaymentWorkflow(
            self,
            "workflow",
            config=config,
            arns=arns,
            encryption=encryption,
            messaging=messaging,
            compute=compute,
        )
        batch_workflow = BatchWorkflow(
            self,
            "batch-workflow",
            config=config,
            arns=arns,
            encryption=encryption,
            messaging=messaging,
            compute=compute,
        )
        sweep = Sweep(
            self, "sweep", config=config, arns=arns, encryption=encryption, compute=compute
        )
        api = Api(self, "api", config=config, arns=arns, encryption=encryption, compute=compute)
        if config.profile.firewall:
            Firewall(self, "firewall", config=config, encryption=encryption, api=api)
        Monitoring(
            self,
            "monitoring",
            config=config,
            watched=Watched(
                messaging=messaging,
                subscriptions=subscriptions,
                compute=compute,
                workflow=workflow,
                batch_workflow=batch_workflow,
                sweep=sweep,
                api=api,
            ),
        )

        outputs = {
            "api_url": api.stage.invoke_url,
            "api_id": api.rest_api.id,
            "batch_bucket": storage.batch_bucket.bucket,
            "batch_results_bucket": storage.batch_results_bucket.bucket,
            "payments_table": storage.payments_table.name,
            "processing_status_table": storage.processing_status_table.name,
            "audit_logs_table": storage.audit_logs_table.name,
            "payment_events_queue_url": messaging.events_queue.url,
            "payment_events_dlq_url": messaging.dead_letter_queue.url,
            "payment_notifications_topic_arn": messaging.topic.arn,
            "payment_workflow_arn": workflow.state_machine.arn,
            "batch_workflow_arn": batch_workflow.state_machine.arn,
        }
        for name, value in outputs.items():
            TerraformOutput(self, name, value=value)
