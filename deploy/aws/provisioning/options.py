"""The options of the stack: what may be said with `cdk -c key=value`, its default and its check."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

_PRINCIPAL = re.compile(
    r"account(:\d{12})?|service:[a-z0-9.-]+\.amazonaws\.com|oidc:[a-z0-9.-]+(/[A-Za-z0-9._/-]+)?#[a-z0-9-]+:[a-z0-9.-]+"
)


class OptionError(ValueError):
    """An option has a value that cannot be used; the message names the option, the value and the remedy."""


@dataclass(frozen=True)
class Options:
    """The options of one deployment. The README explains each for people."""

    name: str = "cartograph"
    """The name of the stack, and what the names of roles and catalogue begin with."""
    ephemeral: bool = False
    """For trials: what holds data goes with the stack."""
    retention_days: int = 7
    """So long does a stream keep its records."""
    shards: int | None = None
    """So many shards has each stream; None: on demand, AWS adds them as the load grows."""
    extract_by: str = "account"
    """Who may take the role that extracts."""
    produce_by: str = "account"
    """Who may take the role that uploads files and puts records."""


def read_options(context: Mapping[str, object]) -> Options:
    """The options that a CDK context holds; what else is in it belongs to the CDK.

    Raises:
        OptionError: a value cannot be used, or a key is nearly that of an option.
    """
    names = [field.name for field in fields(Options)]
    for key in context:
        near = difflib.get_close_matches(key.replace("-", "_").lower(), names, n=1, cutoff=0.8)
        if near and key not in names:
            raise OptionError(f"-c {key}={context[key]}: there is no such option; did you mean {near[0]}?")
    given = {name: str(context[name]) for name in names if context.get(name) is not None}
    default = Options()
    return Options(
        name=_matching(given, "name", r"[a-z][a-z0-9-]{0,40}", "small letters, digits and hyphens") or default.name,
        ephemeral=_matching(given, "ephemeral", r"(?i:true|false)", "true or false").lower() == "true",
        retention_days=_within(given, "retention_days", 1, 365) or default.retention_days,
        shards=_within(given, "shards", 1, 1000),
        extract_by=_principal(given, "extract_by") or default.extract_by,
        produce_by=_principal(given, "produce_by") or default.produce_by,
    )


def _matching(given: Mapping[str, str], name: str, pattern: str, allowed: str) -> str:
    value = given.get(name, "")
    if name in given and not re.fullmatch(pattern, value):
        raise OptionError(f"-c {name}={value}: this cannot be used; give {allowed}.")
    return value


def _within(given: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    value = _matching(given, name, r"\d{1,6}", f"a whole number from {least} to {most}")
    if value and not least <= int(value) <= most:
        raise OptionError(f"-c {name}={value}: this is out of bounds; give a whole number from {least} to {most}.")
    return int(value) if value else None


def _principal(given: Mapping[str, str], name: str) -> str:
    forms = (
        "account, account:123456789012, service:ecs-tasks.amazonaws.com or "
        "oidc:oidc.eks.eu-west-1.amazonaws.com/id/ABC#namespace:serviceaccount"
    )
    return _matching(given, name, _PRINCIPAL.pattern, forms)
