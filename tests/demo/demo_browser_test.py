# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo as a user starts it, in a browser."""

import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

from demo_picture import picture
import numpy as np
from PIL import Image
import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

pytest_plugins = ("chromium",)

REPO = pathlib.Path(__file__).parents[2]


def free_port() -> int:
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    return s.getsockname()[1]


@pytest.fixture(scope="module")
def served():
  """The port of a demo that was started as a user would."""
  port = free_port()
  process = subprocess.Popen(
    [sys.executable, "-m", "threedim_jax.demo", f"--port={port}"],
    env={**os.environ, "PYTHONPATH": str(REPO)},
  )
  deadline = time.monotonic() + 120
  while True:
    try:
      urllib.request.urlopen(f"http://127.0.0.1:{port}/config").close()
      break
    except OSError:
      assert process.poll() is None and time.monotonic() < deadline
      time.sleep(0.5)
  yield port
  process.terminate()
  process.wait()


@pytest.mark.slow
def test_only_this_machine_is_served(served):
  config = urllib.request.urlopen(f"http://127.0.0.1:{served}/config").read()
  text = json.dumps(json.loads(config))
  assert '"analytics_enabled": false' in text
  for address in {i[4][0] for i in socket.getaddrinfo(socket.gethostname(), 0)}:
    if address.startswith("127.") or ":" in address:
      continue
    with pytest.raises(OSError), socket.create_connection((address, served), 2):
      pass


def wait_for(browser, script: str, seconds: float = 120.0):
  deadline = time.monotonic() + seconds
  while not (value := browser.evaluate(script)):
    assert time.monotonic() < deadline, f"{script} never came true"
    time.sleep(0.3)
  return value


@pytest.mark.slow
def test_upload_generate_and_see_the_picture_change(
  served, browser, tmp_path, monkeypatch
):
  browser.send("Page.navigate", url=f"http://127.0.0.1:{served}/")
  field = "document.querySelector('#picture input[type=file]')"
  wait_for(browser, f"!!{field}")
  # The preview has been made when the map shows cameras. Before the page's own
  # script is ready a file goes unnoticed.
  cameras = "document.querySelectorAll('svg circle title').length > 5"
  for _ in range(12):
    handle = browser.send("Runtime.evaluate", expression=field)["result"]
    if "objectId" in handle:
      browser.send(
        "DOM.setFileInputFiles",
        files=[picture(tmp_path)],
        objectId=handle["objectId"],
      )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not browser.evaluate(cameras):
      time.sleep(0.3)
    if browser.evaluate(cameras):
      break
  assert browser.evaluate(cameras), browser.evaluate("document.body.innerText")
  browser.evaluate("""(() => {
    const input = document.querySelector('#num-views input[type=number]');
    input.value = 2;
    for (const kind of ['input', 'blur'])
      input.dispatchEvent(new Event(kind, {bubbles: true}));
  })()""")
  before = browser.evaluate("document.querySelectorAll('#views img').length")
  browser.evaluate("document.querySelector('#generate').click()")
  wait_for(browser, "document.querySelectorAll('#views img').length >= 3")
  assert before == 0
  frame = "document.querySelector('#orbit-viewer')"
  wait_for(browser, f"!!{frame}", 240)
  shown = browser.evaluate(f"{frame}.srcdoc.length")
  assert shown > 5000
  browser.screenshot(tmp_path / "demo.png", width=1300)
  image = np.asarray(
    Image.open(io.BytesIO((tmp_path / "demo.png").read_bytes()))
  )
  assert image.shape[1] == 1300 and np.unique(image).size > 50
