"""What every part of the stack is given: its settings, its ARNs and its key."""

from dataclasses import dataclass

from cdktf_cdktf_provider_aws.kms_key import KmsKey

from lib.config import Profile, StackConfig
from lib.kit.arns import Arns
from lib.kit.encryption import Encryption


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment of the payment system in one account."""

    config: StackConfig
    arns: Arns
    encryption: Encryption

    @property
    def profile(self) -> Profile:
        """What this kind of environment is like."""
        return self.config.profile

    @property
    def key(self) -> KmsKey:
        """The key that everything of the environment is encrypted with."""
        return self.encryption.key

    def name(self, base: str) -> str:
        """Return the name of a resource in this environment, ``{base}-{suffix}``."""
        return self.config.name(base)

    def arn(self, service: str, base: str) -> str:
        """Return the ARN of a resource by its base name, such as ``arn("sqs", "payment-events")``.

        For policies that must name a resource made later. A type stands before the name, as in
        ``arn("states", "stateMachine:payment-workflow")``.
        """
        return self.arns.of(service, self.name(base))
