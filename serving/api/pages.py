"""`/docs`, the pages that teach the API, from files on this machine: they need no network."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


def _folder() -> Path:
    """Swagger UI as litellm ships it. Finding the package does not import it."""
    spec = find_spec("litellm")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "proxy" / "swagger"


def router(title: str) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    folder = _folder()

    @routes.get("/")
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    @routes.get("/docs")
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=title,
            swagger_js_url="/docs/swagger-ui-bundle.js",
            swagger_css_url="/docs/swagger-ui.css",
            swagger_favicon_url="data:,",
        )

    def serve(name: str, kind: str) -> None:
        @routes.get(f"/docs/{name}")
        async def file() -> FileResponse:
            return FileResponse(folder / name, media_type=kind)

    for name, kind in _FILES.items():
        serve(name, kind)
    return routes
