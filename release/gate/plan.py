"""What a plan changes: https://developer.hashicorp.com/terraform/internals/json-format."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

FORMAT: Final = "1."
"""The format's major version: Terraform keeps what a minor one has."""


class UnreadablePlanError(Exception):
    """This is no plan as ``terraform show -json`` writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to one resource. ``before`` and ``after`` are its attributes, empty for none."""

    address: str
    type: str
    actions: tuple[str, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    unknown: Mapping[str, Any]
    """Attributes that only applying the plan decides; they are missing in ``after``."""
    causes: tuple[str, ...] = ()
    """The attributes whose change makes Terraform replace the resource."""

    @property
    def creates(self) -> bool:
        """Whether there was none before."""
        return self.actions == ("create",)

    @property
    def ends(self) -> bool:
        """Whether the resource that is there now is deleted, or forgotten by Terraform."""
        return "delete" in self.actions or "forget" in self.actions

    @property
    def replaces(self) -> bool:
        """Whether another one takes its place."""
        return self.ends and "create" in self.actions

    @property
    def name(self) -> str:
        """What AWS calls the resource, as far as that is known; else its address."""
        for attributes in (self.before, self.after):
            for attribute in _NAMES:
                if name := attributes.get(attribute):
                    return str(name)
        return self.address

    @classmethod
    def from_json(cls, resource: Mapping[str, Any]) -> Self:
        """Read one entry of ``resource_changes``."""
        change = resource["change"]
        unknown = change.get("after_unknown") or {}
        return cls(
            address=resource["address"],
            type=resource["type"],
            actions=tuple(change["actions"]),
            before=change.get("before") or {},
            after=change.get("after") or {},
            unknown=unknown if isinstance(unknown, Mapping) else {},
            causes=tuple(_path(path) for path in change.get("replace_paths") or ()),
        )


_NAMES: Final = (
    *("function_name", "alarm_name", "bucket", "name", "role", "queue_url", "layer_name"),
    *("description",),
)


def _path(steps: Sequence[str | int]) -> str:
    return ".".join(str(step) for step in steps)


def read(plan: object) -> list[Change]:
    """Return what a plan changes of the resources that Terraform manages.

    Raises:
        UnreadablePlanError: it is no plan, one that failed, or one of a newer format.
    """
    if not isinstance(plan, Mapping) or "resource_changes" not in plan:
        raise UnreadablePlanError(
            "this is not a plan as `terraform show -json` writes it: it has no resource_changes"
        )
    if not str(plan.get("format_version", "")).startswith(FORMAT):
        raise UnreadablePlanError(
            f"the plan's format is {plan.get('format_version')!r}, and this gate knows {FORMAT}x"
        )
    if plan.get("errored"):
        raise UnreadablePlanError("Terraform could not finish this plan, so it is not all there")
    try:
        return list(_changes(plan["resource_changes"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadablePlanError(f"a resource of the plan cannot be read: {error!r}") from error


def _changes(resources: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    for resource in resources:
        if resource.get("mode", "managed") == "managed" and "deposed" not in resource:
            change = Change.from_json(resource)
            if change.actions != ("no-op",):
                yield change
