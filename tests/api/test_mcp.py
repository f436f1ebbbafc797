"""The MCP door: the official client, over HTTP and over standard input and output."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

T = TypeVar("T")
TOOLS = {
    "lab_describe",
    "lab_history",
    "lab_predict",
    "lab_suggest",
    "lab_propose",
    "lab_submit",
    "lab_status",
}
PREDICT = {"campaign_id": "free", "experiments": [{"solvent": "CCO", "heat": 40}]}


def over_http(site, name: str, use: Callable[[Client], Awaitable[T]]) -> T:
    async def run() -> T:
        headers = {"Authorization": f"Bearer {site.keys[name]}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(f"{site.address}/mcp", http_client=http)
            async with Client(transport) as client:
                return await use(client)

    return asyncio.run(run())


def over_stdio(site, name: str, use: Callable[[Client], Awaitable[T]]) -> T:
    async def run() -> T:
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "labwm.api.cli", "mcp"],
            env=site.environment | {"LABWM_KEY": site.keys[name]},
            cwd=site.folder,
        )
        async with Client(server) as client:
            return await use(client)

    return asyncio.run(run())


def call(tool: str, **arguments: Any) -> Callable[[Client], Awaitable[CallToolResult]]:
    async def use(client: Client) -> CallToolResult:
        return await client.call_tool(tool, arguments)

    return use


def text_of(result: CallToolResult) -> str:
    return " ".join(block.text for block in result.content if block.type == "text")


@pytest.mark.parametrize("over", [over_http, over_stdio], ids=["http", "stdio"])
def test_an_agent_finds_its_tools_and_no_way_to_approve(site, over):
    async def use(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == TOOLS
        assert all(tool.output_schema and tool.description for tool in tools)
        described = await client.call_tool("lab_describe", {"campaign_id": "free"})
        assert not described.is_error, text_of(described)
        names = {p["name"] for p in described.structured_content["parameters"]}
        assert names == {"solvent", "heat"}
        predicted = await client.call_tool("lab_predict", PREDICT)
        assert not predicted.is_error, text_of(predicted)
        (one,) = predicted.structured_content["predictions"]
        assert one["readouts"]["yield"]["low90"] < one["readouts"]["yield"]["high90"]
        assert one["id"] in text_of(predicted)  # clients that read text lose nothing

    over(site, "planner", use)


def test_an_agent_proposes_submits_and_looks(site):
    async def use(client: Client) -> None:
        proposed = await client.call_tool(
            "lab_propose",
            {
                "campaign_id": "asking",
                "experiments": [{"solvent": "CC#N", "heat": 60}],
                "reason": "the solvent looks good",
                "idempotency_key": "mcp-propose-1",
            },
        )
        assert not proposed.is_error, text_of(proposed)
        (one,) = proposed.structured_content["proposals"]
        assert one["proposal"]["proposer"] == "planner"
        history = await client.call_tool(
            "lab_history", {"campaign_id": "free", "limit": 3}
        )
        assert history.structured_content["total"] == 8
        assert len(history.structured_content["measurements"]) == 3
        status = await client.call_tool("lab_status", {"campaign_id": "asking"})
        assert status.structured_content["summary"]["campaign_id"] == "asking"

    over_http(site, "planner", use)


def test_errors_reach_the_model_in_full(site):
    wrong = over_http(site, "planner", call("lab_status", campaign_id="nobody"))
    assert wrong.is_error
    assert "not-found" in text_of(wrong)
    assert "nobody" in text_of(wrong)
    misspelt = over_http(
        site, "planner", call("lab_suggest", campaign_id="free", polcy="random")
    )
    assert misspelt.is_error
    assert "polcy" in text_of(misspelt)


def test_a_reader_may_not_propose(site):
    result = over_http(
        site,
        "reader",
        call(
            "lab_propose",
            campaign_id="asking",
            experiments=[{"solvent": "CCO", "heat": 20}],
            reason="may I",
            idempotency_key="reader-tries",
        ),
    )
    assert result.is_error
    assert "forbidden" in text_of(result)


def test_two_agents_at_once_act_each_in_their_own_name(site):
    async def both() -> list[bool]:
        async def may(name: str) -> bool:
            headers = {"Authorization": f"Bearer {site.keys[name]}"}
            async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
                transport = streamable_http_client(
                    f"{site.address}/mcp", http_client=http
                )
                async with Client(transport) as client:
                    use = call("lab_submit", **SUBMIT)
                    answers = [text_of(await use(client)) for _ in range(5)]
            return all("forbidden" not in answer for answer in answers)

        return await asyncio.gather(may("planner"), may("reader"))

    assert asyncio.run(both()) == [True, False]


SUBMIT = {
    "campaign_id": "asking",
    "proposal_ids": ["no-such-proposal"],
    "idempotency_key": "nothing-at-all",
}


@pytest.mark.parametrize(
    "settings",
    [{"LABWM_KEY": ""}, {"LABWM_KEY": "labwm_made-up"}],
    ids=["none", "wrong"],
)
def test_the_stdio_server_refuses_to_start_without_a_valid_key(site, settings):
    done = site.run("mcp", **settings)
    assert done.returncode == 5
    assert done.stderr.startswith("error[unauthenticated]: ")
    assert done.stdout == ""


def test_text_that_no_database_stores_is_refused(site):
    result = over_http(
        site,
        "planner",
        call(
            "lab_propose",
            campaign_id="asking",
            experiments=[{"solvent": "CCO", "heat": 20}],
            reason="a \x00 in it",
            idempotency_key="nul-in-reason",
        ),
    )
    assert result.is_error
    assert "U+0000" in text_of(result)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_connection_is_held_open_for_nothing(site, method):
    headers = {"Accept": "text/event-stream"}
    answer = site.http("planner").request(method, "/mcp", headers=headers, timeout=10)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
