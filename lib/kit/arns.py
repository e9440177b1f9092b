"""ARNs of resources that are named before they exist."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arns:
    """Builds ARNs in one account and region.

    For policies that must name a resource made later. Where the resource is at hand its own
    attribute is used instead, which also tells Terraform the order.
    """

    partition: str
    region: str
    account: str

    def of(self, service: str, resource: str) -> str:
        """Return the ARN of a regional resource, such as ``of("sqs", "payment-events-dev")``."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def of_bucket(self, name: str) -> str:
        """Return the ARN of an S3 bucket."""
        return f"arn:{self.partition}:s3:::{name}"
