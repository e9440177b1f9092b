"""The workflows."""

from payments.aws.workflows import Workflow
from payments.runtime.clients import client
from payments.runtime.settings import setting


def workflow_of(variable: str) -> Workflow:
    """Return the workflow whose ARN is in an environment variable."""
    return Workflow(client("stepfunctions"), setting(variable))
