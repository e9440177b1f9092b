"""ARNs of an environment's resources."""


def beside(arn: str, service: str, resource: str) -> str:
    """Return the ARN of another resource in the account and region of a known one.

    >>> beside("arn:aws:sqs:eu-west-1:123456789012:payment-events-dev", "sns", "news-dev")
    'arn:aws:sns:eu-west-1:123456789012:news-dev'
    """
    _, partition, _, region, account, *_ = arn.split(":")
    return f"arn:{partition}:{service}:{region}:{account}:{resource}"
