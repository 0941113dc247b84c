"""`cartograph rollback`: give a model its previous champion back, and publish what that one says."""

from __future__ import annotations

import difflib
import getpass
import os

from assets.promotion.promote import Move, PromotionError, rollback
from orchestration.cli.materialize import run_materialize
from orchestration.cli.session import CommandError, console, shop_named
from resources.settings import get_settings
from resources.shops import load_shops
from resources.tracking import Tracking, TrackingError, model_name
from resources.warehouse import Warehouse


def run_rollback(domain: str, shop_name: str | None, to: int | None) -> int:
    """Roll back the models of a domain, of one shop or of all, and publish anew; 1 where some of it failed."""
    settings = get_settings()
    shop = shop_named(shop_name).name if shop_name is not None else None
    tracking = Tracking(settings)
    models = _models(tracking, domain, shop)
    if to is not None and shop is None and len(models) > 1:
        raise CommandError(
            f"--to names a version of one model, and {domain} has {len(models)}: name the shop with --shop."
        )
    # Read first: what is moved must be published, and a second call would go back one further. A shop may have left the
    # configuration since.
    present = load_shops(settings.shops_file)
    refused: list[str] = []
    moved: list[str] = []
    with Warehouse(settings).connect() as connection:
        for model in models:
            try:
                move = rollback(tracking, connection, model, actor(), to)
            except (PromotionError, TrackingError) as error:
                refused.append(str(error))
                continue
            name = model.removeprefix(model_name(domain, ""))
            console().print(f"{move.shop}: {_said(move, name in present)}", soft_wrap=True)
            moved.append(name)
    if not moved:
        raise CommandError("\n".join(refused))
    for line in refused:
        console().print(f"[red]{line}[/red]", soft_wrap=True)
    # What was computed beforehand is still that of the version that went.
    what = f'key:"{domain}/champion"+ and group:{domain}'
    published = [run_materialize(what, name) for name in moved if name in present]
    return 1 if refused or any(published) else 0


def _said(move: Move, is_published: bool) -> str:
    if move.from_version == move.to_version:
        held = f"version {move.to_version} is the champion of {move.model} already"
        return f"{held}; published anew." if is_published else f"{held}."
    before = "where there was none" if move.from_version is None else f"after version {move.from_version}"
    return f"the champion of {move.model} is version {move.to_version} again, {before}."


def actor() -> str:
    """Who is at the keyboard, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def _models(tracking: Tracking, domain: str, shop: str | None) -> list[str]:
    names = tracking.names()
    domains = sorted({name.partition("-")[0] for name in names})
    if domain not in domains:
        near = difflib.get_close_matches(domain, domains, n=1)
        raise CommandError(
            f"no model is named {domain!r}"
            + (f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(domains) or 'none yet'}.")
        )
    if shop is None:
        return [name for name in names if name.startswith(model_name(domain, ""))]
    if model_name(domain, shop) not in names:
        shops = [name.partition("-")[2] for name in names if name.startswith(model_name(domain, ""))]
        raise CommandError(f"{shop} has no {domain}; these shops have one: {', '.join(shops)}.")
    return [model_name(domain, shop)]
