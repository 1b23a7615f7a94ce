"""Templates as JSON below `/-/v1/templates`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.sandboxes.body import Body
from innkeeper.services.sandboxes.model import (
    BASE_TEMPLATE,
    IMAGE_TEMPLATE,
    TemplateRecord,
    TemplateSpec,
    check_template,
    invalid,
)
from innkeeper.services.sandboxes.service import Sandboxes


def routes(sandboxes: Sandboxes) -> list[Route]:
    """The authenticated caller is in `request.state.caller`."""
    templates = sandboxes.templates

    async def build(request: Request) -> Response:
        body = await Body.of(request)
        name, spec = body.text("name") or "", _spec(body)
        check_template(name, spec)
        return JSONResponse(_template(await templates.build(request.state.caller.account, name, spec)), 202)

    async def list_all(request: Request) -> Response:
        page = PageRequest.of(None, request.query_params.get("nextToken"))
        found = await templates.list(request.state.caller.account, page)
        return JSONResponse(
            {"templates": [_template(one) for one in found.items], "nextToken": found.next_token}
        )

    async def get(request: Request) -> Response:
        found = await templates.get(request.state.caller.account, request.path_params["name"])
        spec = found.spec
        shown = {
            "pip": list(spec.pip),
            "npm": list(spec.npm),
            "apt": list(spec.apt),
            "scripts": spec.scripts,
            "image": spec.image,
            "files": sorted(spec.files),
            "setUp": spec.set_up,
            "start": spec.start,
            "ready": spec.ready,
            "warmUp": spec.warm_up,
            "resolved": found.resolved,
            "log": found.log,
        }
        return JSONResponse({**_template(found), **shown})

    async def delete(request: Request) -> Response:
        await templates.delete(request.state.caller.account, request.path_params["name"])
        return Response(status_code=204)

    async def prune(_request: Request) -> Response:
        return JSONResponse({"bytes": await templates.prune()})

    return [
        Route("/-/v1/templates", prune, methods=["DELETE"]),
        Route("/-/v1/templates", build, methods=["POST"]),
        Route("/-/v1/templates", list_all, methods=["GET"]),
        Route("/-/v1/templates/{name}", get, methods=["GET"]),
        Route("/-/v1/templates/{name}", delete, methods=["DELETE"]),
    ]


def _spec(body: Body) -> TemplateSpec:
    image = _image(body)
    return TemplateSpec(
        base=body.text("base") or (IMAGE_TEMPLATE if image else BASE_TEMPLATE),
        image=image,
        pip=tuple(body.words("pip")),
        npm=tuple(body.words("npm")),
        apt=tuple(body.words("apt")),
        scripts=body.flag("scripts"),
        files=body.texts("files"),
        set_up=body.text("setUp") or "",
        start=body.text("start") or "",
        ready=body.text("ready") or "",
        warm_up=body.text("warmUp") or "",
        network=body.text("network") or "none",
    )


def _image(body: Body) -> str:
    """Where it lies, in the words in which AgentCore says where code lies."""
    where = body.part("image")
    place = where.part("s3") if where else None
    if where is None:
        return ""
    bucket, key = (place.text("bucket"), place.text("prefix")) if place else (None, None)
    if not bucket or not key or "/" in bucket:
        raise invalid("image", 'must be {"s3": {"bucket": BUCKET, "prefix": KEY}}')
    return f"s3://{bucket}/{key}"


def _template(record: TemplateRecord) -> Document:
    return {
        "name": record.name,
        "base": record.spec.base,
        "state": record.state,
        "network": record.spec.network,
        "kind": record.kind,
        "sizeBytes": record.image_bytes,
        "createdAt": record.created_at.isoformat(),
    }
