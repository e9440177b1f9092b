"""What alarms and dashboard watch."""

from dataclasses import dataclass

from lib.edge.api import Api
from lib.foundation.messaging import Messaging
from lib.foundation.subscriptions import Subscriptions
from lib.functions.compute import Compute
from lib.workflows.batch import BatchWorkflow
from lib.workflows.payment import PaymentWorkflow
from lib.workflows.sweep import Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The parts of an environment that can go wrong."""

    messaging: Messaging
    subscriptions: Subscriptions
    compute: Compute
    workflow: PaymentWorkflow
    batch_workflow: BatchWorkflow
    sweep: Sweep
    api: Api
