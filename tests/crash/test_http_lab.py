"""A campaign against a lab server, with everything between them going wrong.

The server is a real process, killed and started again; between it and the campaign
stands a real proxy that loses, repeats, delays and spoils what passes. However it went,
each round is one job in the lab, and every well is measured once.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from labwm import campaign
from labwm.api.lab_server import create_lab_app
from labwm.campaign.dispatch import served_lab
from labwm.schema import CampaignSpec, CampaignState, Origin, WaitsFor
from labwm.testing.lab_servers import KEY, serve_table, serving
from tests.unit.campaign.conftest import kettle

__all__ = ["kettle"]

Harm = Callable[["Proxy", str, int], str]
"""Given method and number of the request, names what is done to it."""


@dataclass
class Proxy:
    """Passes requests on to a server, and does harm to some."""

    target: str
    harm: Harm
    url: str = ""
    done: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    n_seen: Counter[str] = field(default_factory=Counter)

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        with self.lock:
            self.n_seen[request.command] += 1
            what = self.harm(self, request.command, self.n_seen[request.command])
            self.done[what] += 1
        if what == "5xx-before":
            answer(request, 503, b"no")
            return
        if what == "slow":
            time.sleep(2.5)
        try:
            said = self.forward(request, body)
            if what == "twice":
                said = self.forward(request, body)
        except httpx.HTTPError:
            answer(request, 502, b"bad gateway")
            return
        if what == "drop":
            request.close_connection = True
        elif what == "5xx-after":
            answer(request, 500, b"oops")
        else:
            answer(request, said.status_code, said.content)

    def forward(self, request: BaseHTTPRequestHandler, body: bytes) -> httpx.Response:
        headers = {k: request.headers[k] for k in ("Authorization", "Content-Type")
                   if k in request.headers}  # fmt: skip
        return httpx.request(
            request.command,
            self.target + request.path,
            content=body,
            headers=headers,
            timeout=10,
        )


def answer(request: BaseHTTPRequestHandler, status: int, content: bytes) -> None:
    try:
        request.send_response(status)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
    except OSError:
        return  # the client did not wait


@contextmanager
def between(target: str, harm: Harm) -> Iterator[Proxy]:
    proxy = Proxy(target, harm)

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            proxy.handle(self)

        do_GET = do_PUT = do_POST = pass_on  # noqa: N815 http.server wants it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_protocol(kettle: Path, url: str) -> Path:
    """Write the kettle's protocol for the lab behind an address."""
    path = kettle / "kettle.yaml"
    text = path.read_text().replace("adapter: replay,", "adapter: http, %s")
    settings = f"settings: {{url: '{url}', origin: replayed, timeout_seconds: 2}},"
    path.write_text(text % settings)
    return path


def run(spec: CampaignSpec, *, seconds: float = 90) -> None:
    """Advance as a schedule would, until the campaign is done."""
    campaign.open_campaign(spec)
    deadline = time.monotonic() + seconds
    while campaign.advance(spec.name).waits_for is not WaitsFor.DONE:
        assert time.monotonic() < deadline, campaign.status(spec.name)
        time.sleep(0.05)


def check_once(spec: CampaignSpec, jobs: Path) -> None:
    """Each round is one job of the lab; nothing was lost or measured twice."""
    now = campaign.status(spec.name)
    assert now.summary.state is CampaignState.DONE
    assert now.summary.n_measured == spec.budget
    (budget,) = now.accounts
    assert (budget.free, budget.reserved, budget.used) == (0, 0, spec.budget)
    rows = campaign.measurements(spec.name, limit=1000).measurements
    assert len(rows) == len({m.proposal_id for m in rows}) == spec.budget
    assert {m.origin for m in rows} == {Origin.REPLAYED}
    accepted = [json.loads(p.read_text()) for p in jobs.glob("*/job.json")]
    keys = {batch.submission_key for batch in now.batches}
    assert len(accepted) == len(keys) == spec.budget // 4
    assert {job["submission_key"] for job in accepted} == keys
    campaign.verify_database()


def spec_of(protocol: Path) -> CampaignSpec:
    return CampaignSpec(
        name="boil",
        protocol=str(protocol),
        data=str(protocol.parent / "kettle.csv"),
        policy="random",
        budget=8,
        seed=3,
    )


@contextmanager
def laboratory(kettle: Path, harm: Harm) -> Iterator[tuple[Proxy, Path]]:
    """Yield a proxy before a server, and the protocol that names the proxy."""
    with between("", harm) as proxy:
        protocol = write_protocol(kettle, proxy.url)
        lab = served_lab(str(protocol), str(kettle / "kettle.csv"), kettle / "jobs")
        with serving(create_lab_app(lab, secret=KEY)) as url:
            proxy.target = url
            yield proxy, protocol


def on_first(what: str) -> Harm:
    def harm(proxy: Proxy, method: str, n: int) -> str:
        return what if method == "PUT" and n in {1, 2} else "nothing"

    return harm


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("LABWM_LAB_KEY", KEY)


@pytest.mark.parametrize("what", ["drop", "twice", "5xx-before", "5xx-after", "slow"])
def test_a_submission_that_goes_wrong_is_still_one_job(kettle: Path, what: str):
    with laboratory(kettle, on_first(what)) as (proxy, protocol):
        spec = spec_of(protocol)
        run(spec)
        assert proxy.done[what] >= 2
        check_once(spec, kettle / "jobs")


def every_third(proxy: Proxy, method: str, n: int) -> str:
    kinds = ("drop", "5xx-after", "twice", "5xx-before")
    return kinds[(n // 3) % 4] if n % 3 == 1 else "nothing"


def test_every_third_request_of_any_kind_may_go_wrong(kettle: Path):
    with laboratory(kettle, every_third) as (proxy, protocol):
        spec = spec_of(protocol)
        run(spec)
        assert sum(proxy.done.values()) - proxy.done["nothing"] >= 4
        check_once(spec, kettle / "jobs")


def drop_the_first(proxy: Proxy, method: str, n: int) -> str:
    return "drop" if method == "PUT" and n == 1 else "nothing"


@pytest.mark.timeout(200)
def test_a_server_killed_after_it_accepted_goes_on_when_it_is_back(kettle: Path):
    with between("", drop_the_first) as proxy:
        protocol = write_protocol(kettle, proxy.url)
        server = serve_table(protocol, kettle / "kettle.csv", kettle / "jobs")
        proxy.target = server.url
        try:
            spec = spec_of(protocol)
            campaign.open_campaign(spec)
            while not proxy.done["drop"]:
                campaign.advance(spec.name)
            server.end()
            # Down: the campaign waits, and asks for nothing new.
            for _ in range(2):
                assert campaign.advance(spec.name).waits_for is WaitsFor.LAB
            assert len(campaign.status(spec.name).batches) == 1
            server.start()
            run(spec)
        finally:
            server.end()
    check_once(spec, kettle / "jobs")
