"""What the event publisher runs on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from payments.aws.items import deserialize
from payments.aws.queue import MessageQueue
from payments.aws.topic import MESSAGES_PER_CALL, Topic
from payments.runtime.clients import client
from payments.runtime.queues import message_queue
from payments.runtime.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcing:
    """What records of the stream are announced with; ``read`` turns an image into a record."""

    topic: Topic
    dead_letters: MessageQueue
    read: Callable[[Mapping[str, Any]], dict[str, Any]] = deserialize
    events_at_once: int = MESSAGES_PER_CALL


@cache
def announcing() -> Announcing:
    """Return what records of the stream are announced with."""
    return Announcing(
        topic=Topic(client("sns"), setting("NOTIFICATIONS_TOPIC_ARN")),
        dead_letters=message_queue("ANNOUNCEMENTS_DLQ_URL"),
    )
