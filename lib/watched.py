"""What alarms and dashboard watch."""

from dataclasses import dataclass

from lib.api import Api
from lib.batch_workflow import BatchWorkflow
from lib.compute import Compute
from lib.messaging import Messaging
from lib.subscriptions import Subscriptions
from lib.sweep import Sweep
from lib.workflow import PaymentWorkflow


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
