"""Where labs post their signed notices; no bearer key, the signature is the key."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from labwm import campaign
from labwm.schema import Notice, NoticeTaken, Problem

PATH = "/v1/notices"
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_PROBLEM: dict[str, Any] = {
    "model": Problem,
    "content": {"application/problem+json": {}},
}
_ASKED: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
        for name in _HEADERS
    ],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Notice.model_json_schema()}},
    },
}

notice_routes = APIRouter(
    tags=["labs"], responses=dict.fromkeys((401, 404, 409, 422, 503), _PROBLEM)
)


async def _bytes_of(request: Request) -> bytes:
    return await request.body()


@notice_routes.post(PATH, status_code=202, openapi_extra=_ASKED)
def take_notice(
    request: Request, body: Annotated[bytes, Depends(_bytes_of)]
) -> NoticeTaken:
    """Take a lab's notice that a job has results; signed as Standard Webhooks 1."""
    return campaign.take_notice(body, request.headers)
