# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, driven with real input events over two pipes.

  with Chromium(tmp_path) as page:
    page.open(path)
    page.mouse("mousePressed", x, y)
    page.evaluate("document.title")

Needs the browser and nothing else: the DevTools protocol is JSON, and
`--remote-debugging-pipe` spares us a websocket.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time
import warnings

import pytest

PROGRAM = next(
  filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))),
  None,
)
FLAGS = (
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
  " --disable-background-networking --disable-component-update --disable-sync"
  " --hide-scrollbars --remote-debugging-pipe"
)
TIMEOUT = 20  # seconds for one answer


class Chromium:
  """One page. Raises RuntimeError on a protocol or a script error."""

  def __init__(self, profile_dir):
    self._profile_dir = profile_dir
    self._id = 0
    self._session = None
    self._buffer = b""

  def __enter__(self):
    to_read, self._to = os.pipe()
    self._from, to_write = os.pipe()
    # Chromium reads descriptor 3 and writes descriptor 4.
    command = 'in=$1 out=$2; shift 2; exec "$@" 3<&$in 4>&$out'
    self._process = subprocess.Popen(
      ["bash", "-c", command, "bash", str(to_read), str(to_write), PROGRAM]
      + FLAGS.split()
      + [f"--user-data-dir={self._profile_dir}", "about:blank"],
      pass_fds=(to_read, to_write),
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      start_new_session=True,
    )
    os.close(to_read)
    os.close(to_write)
    target = self.send("Target.createTarget", url="about:blank")["targetId"]
    attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
    self._session = attached["sessionId"]
    self.send("Page.enable")
    return self

  def __exit__(self, *_):
    self._session = None
    try:
      self.send("Browser.close")
      self._process.wait(TIMEOUT)
    except (RuntimeError, OSError, subprocess.TimeoutExpired):
      os.killpg(self._process.pid, signal.SIGKILL)  # it and its helpers
      self._process.wait()
    os.close(self._to)
    os.close(self._from)

  def send(self, method: str, **params) -> dict:
    """Calls a method of the DevTools protocol and returns its result."""
    self._id += 1
    message = {"id": self._id, "method": method, "params": params}
    if self._session:
      message["sessionId"] = self._session
    os.write(self._to, json.dumps(message).encode() + b"\0")
    while True:
      answer = self._receive()
      if answer.get("id") == self._id:
        if "error" in answer:
          raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

  def _receive(self) -> dict:
    deadline = time.monotonic() + TIMEOUT
    while b"\0" not in self._buffer:
      left = deadline - time.monotonic()
      if left <= 0 or not select.select([self._from], [], [], left)[0]:
        raise RuntimeError(f"no answer from {PROGRAM} in {TIMEOUT} s")
      data = os.read(self._from, 1 << 20)
      if not data:
        raise RuntimeError(f"{PROGRAM} has ended")
      self._buffer += data
    message, self._buffer = self._buffer.split(b"\0", 1)
    return json.loads(message)

  def open(self, path) -> None:
    """Loads a file and waits until it is ready."""
    self.send("Page.navigate", url=f"file://{path}")
    while self.evaluate("document.readyState") != "complete":
      time.sleep(0.02)

  def evaluate(self, script: str):
    """The value of a JavaScript expression."""
    answer = self.send(
      "Runtime.evaluate", expression=script, returnByValue=True
    )
    if "exceptionDetails" in answer:
      raise RuntimeError(str(answer["exceptionDetails"]))
    return answer["result"].get("value")

  def mouse(self, kind: str, x: float, y: float, **params) -> None:
    """kind: mousePressed, mouseMoved, mouseReleased or mouseWheel."""
    held = {"button": "left", "buttons": 1, "clickCount": 1}
    if kind == "mouseWheel":
      held = {"deltaX": 0}
    self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held, **params)

  def key(self, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
      self.send("Input.dispatchKeyEvent", type=kind, key=key)

  def screenshot(self, path, *, width=1100, height=None, dark=False) -> None:
    """The whole page as a PNG file, as wide as asked."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else ""}
    self.send("Emulation.setEmulatedMedia", features=[scheme])
    size = {"deviceScaleFactor": 1, "mobile": width < 600}
    resize = "Emulation.setDeviceMetricsOverride"
    self.send(resize, width=width, height=height or 800, **size)
    height = height or self.evaluate("document.documentElement.scrollHeight")
    self.send(resize, width=width, height=height, **size)
    data = self.send("Page.captureScreenshot")["data"]
    with open(path, "wb") as f:
      f.write(base64.b64decode(data))


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
  """One browser for all tests; name this module in `pytest_plugins`."""
  if PROGRAM is None:
    reason = "CHROMIUM IS MISSING: how pages behave was NOT tested"
    warnings.warn(reason, stacklevel=1)
    pytest.skip(reason)
  with Chromium(tmp_path_factory.mktemp("profile")) as page:
    yield page
