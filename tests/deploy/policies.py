"""Reads the policies of a template, and says what they allow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

ACCOUNT, REGION = "111111111111", "eu-west-1"


@dataclass(frozen=True)
class Statement:
    """One statement, its references resolved."""

    owner: str
    """The logical id of the resource that has it."""
    sid: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def allows(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        """Whether this statement lets an action be done to a resource; IAM compares actions in any case."""
        return (
            self.effect == "Allow"
            and any(fnmatchcase(action.lower(), allowed.lower()) for allowed in self.actions)
            and any(_matches(allowed, resource) for allowed in self.resources)
            and all(self._holds(operator, keys, context) for operator, keys in self.conditions.items())
        )

    def _holds(self, operator: str, keys: Mapping[str, Any], context: Mapping[str, str]) -> bool:
        if operator != "StringLikeIfExists":
            raise NotImplementedError(
                f"{self.owner}.{self.sid}: teach tests/deploy/policies.py the operator {operator}"
            )
        return all(key not in context or any(_matches(p, context[key]) for p in _list(v)) for key, v in keys.items())


def _matches(pattern: str, value: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), value) is not None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resolve(template: Mapping[str, Any], value: Any) -> str:
    """A value of a template as it is once deployed, with an account, a region and the bucket's name made up.

    Raises:
        NotImplementedError: it is a function that no value of ours uses.
    """
    if isinstance(value, str):
        return value
    function, argument = next(iter(value.items()))
    if function == "Fn::Join":
        return str(argument[0]).join(resolve(template, item) for item in argument[1])
    pseudo = {
        "AWS::AccountId": ACCOUNT,
        "AWS::Region": REGION,
        "AWS::Partition": "aws",
    }
    if function == "Ref" and argument in pseudo:
        return pseudo[argument]
    name = argument if function == "Ref" else argument[0]
    resource = template["Resources"][name]
    properties = resource.get("Properties", {})
    own = properties.get("Name") or properties.get("RoleName") or properties.get("LogStreamName") or name.lower()
    if function == "Ref":
        return own
    if function == "Fn::GetAtt" and argument[1] == "Arn":
        return {
            "AWS::S3::Bucket": f"arn:aws:s3:::{own}",
            "AWS::Kinesis::Stream": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{own}",
            "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{own}",
        }[resource["Type"]]
    raise NotImplementedError(f"{function} {argument}")


def statements(template: Mapping[str, Any]) -> Iterator[Statement]:
    """Every statement that grants or denies something, wherever in the template a policy stands."""

    def walk(owner: str, node: Any) -> Iterator[Statement]:
        if isinstance(node, list):
            for item in node:
                yield from walk(owner, item)
        if not isinstance(node, dict):
            return
        for key, value in node.items():
            if key == "Statement":
                for item in _list(value):
                    yield Statement(
                        owner,
                        item.get("Sid", ""),
                        item["Effect"],
                        tuple(_list(item.get("Action", ()))),
                        tuple(resolve(template, resource) for resource in _list(item.get("Resource", []))),
                        item.get("Condition", {}),
                    )
                    unknown = set(item) - {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}
                    if unknown:
                        raise NotImplementedError(f"{owner}: teach tests/deploy/policies.py {sorted(unknown)}")
            else:
                yield from walk(owner, value)

    for owner, resource in template["Resources"].items():
        yield from walk(owner, resource)


def role_named(template: Mapping[str, Any], name: str) -> str:
    """The logical id of a role."""
    found = [
        logical
        for logical, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role" and resource["Properties"]["RoleName"] == name
    ]
    assert len(found) == 1, found
    return found[0]


def may(template: Mapping[str, Any], role: str, action: str, resource: str, **context: str) -> bool:
    """Whether a role may do an action to a resource; the keys of the context are written with `_` for `:`."""
    owner = role_named(template, role)
    values = {key.replace("_", ":", 1): value for key, value in context.items()}
    return any(item.allows(action, resource, values) for item in statements(template) if item.owner == owner)
