"""All functions, and the code that they share."""

from constructs import Construct

from lib.environment import Environment
from lib.foundation.messaging import Messaging
from lib.foundation.secrets import ProcessorKey
from lib.foundation.storage import Storage
from lib.functions.api_handler import add_api_handler
from lib.functions.batch_processor import add_batch_processor
from lib.functions.event_publisher import add_event_publisher
from lib.functions.payment_processor import add_payment_processor
from lib.kit.function import FunctionCode, PythonFunction


class Compute(Construct):
    """API handler, batch processor, payment processor and event publisher."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        storage: Storage,
        messaging: Messaging,
        processor_key: ProcessorKey | None,
    ) -> None:
        super().__init__(scope, id_)
        code = FunctionCode(self, "code", environment=environment)
        self.api_handler = add_api_handler(
            self, environment=environment, code=code, storage=storage, messaging=messaging
        )
        self.batch_processor = add_batch_processor(
            self, environment=environment, code=code, storage=storage, messaging=messaging
        )
        self.payment_processor = add_payment_processor(
            self,
            environment=environment,
            code=code,
            storage=storage,
            messaging=messaging,
            processor_key=processor_key,
        )
        self.event_publisher = add_event_publisher(
            self, environment=environment, code=code, storage=storage, messaging=messaging
        )

    @property
    def functions(self) -> tuple[PythonFunction, ...]:
        """Every function."""
        return (
            self.api_handler,
            self.batch_processor,
            self.payment_processor,
            self.event_publisher,
        )
