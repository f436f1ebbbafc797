"""Debian's Chromium, driven by its own protocol: what a person sees and clicks."""

import base64
import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.conftest import skip_or_fail

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--window-size=1280,900",
)


@dataclass
class Page:
    """One tab."""

    socket: ClientConnection
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What the browser refused or reported: policy violations, missing files."""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    n_loaded: int = 0
    """Documents that were loaded whole, with their scripts."""

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        self.socket.send(
            json.dumps({"id": number, "method": method, "params": parameters})
        )
        while True:
            message = json.loads(self.socket.recv(timeout=20))
            self._note(message)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        self.n_loaded += message.get("method") == "Page.loadEventFired"
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        if message.get("method") == "Log.entryAdded":
            self.complaints.append(message["params"]["entry"]["text"])

    def open(self, address: str) -> None:
        before = self.n_loaded
        went = self.call("Page.navigate", url=address)
        # Until the new document is there, questions are answered by the old one, or
        # by one without a body. Without a loader it was a place in the same document.
        while "loaderId" in went and self.n_loaded == before:
            self._note(json.loads(self.socket.recv(timeout=30)))
        self.settle()

    def settle(self) -> None:
        """Wait until the page that is on its way is there."""
        time.sleep(0.2)
        deadline = time.monotonic() + 15
        while self.ask("document.readyState") != "complete":
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def ask(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    @property
    def text(self) -> str:
        return self.ask("document.body.innerText")

    @property
    def path(self) -> str:
        return self.ask("location.pathname")

    def type(self, selector: str, text: str) -> None:
        self.ask(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        box = self.ask(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        place = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **place)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **place)
        self.settle()

    def screenshot(self, file: Path) -> None:
        shot = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True
        )
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """Start a browser with an empty profile; skip where there is none."""
    program = shutil.which("chromium")
    if program is None:
        skip_or_fail("Debian's chromium is absent")
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with connect(_page_address(profile), max_size=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Network", "Log", "Runtime"):
                page.call(f"{domain}.enable")
            yield page
    finally:
        process.terminate()
        process.wait(20)


def _page_address(profile: Path) -> str:
    import httpx

    told = profile / "DevToolsActivePort"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if told.exists() and (found := re.match(r"(\d+)\n", told.read_text())):
            targets = httpx.get(f"http://127.0.0.1:{found[1]}/json/list").json()
            pages = [target for target in targets if target["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise AssertionError("the browser did not open a page in 30 seconds")
