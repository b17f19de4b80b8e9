# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium with real input events, driven by Selenium.

  browser.open(path)
  browser.mouse("mousePressed", x, y)
  browser.evaluate("document.title")

Name this module in `pytest_plugins`; `browser` is the fixture. Debian's
packages `chromium` and `chromium-driver` bring what it needs.
"""

import base64
import shutil
import time
import warnings

import pytest

PROGRAM = next(
  filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))),
  None,
)
DRIVER = shutil.which("chromedriver")
FLAGS = (
  "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run"
  " --disable-background-networking --disable-component-update --disable-sync"
  " --disable-dev-shm-usage --hide-scrollbars"
)
TIMEOUT = 60  # seconds for one answer


def start_chromium():
  """A new Selenium driver."""
  from selenium import webdriver

  options = webdriver.ChromeOptions()
  options.binary_location = PROGRAM
  for flag in FLAGS.split():
    options.add_argument(flag)
  service = webdriver.ChromeService(executable_path=DRIVER)
  driver = webdriver.Chrome(options=options, service=service)
  driver.set_script_timeout(TIMEOUT)
  return driver


class Chromium:
  """One page."""

  def __init__(self):
    self.driver = start_chromium()

  def send(self, method: str, **params) -> dict:
    """Calls a method of the DevTools protocol and returns its result."""
    return self.driver.execute_cdp_cmd(method, params)

  def open(self, path) -> None:
    """Loads a file, or an address, and waits until it is ready."""
    text = str(path)
    self.driver.get(text if "://" in text else f"file://{text}")

  def evaluate(self, script: str):
    """The value of a JavaScript expression."""
    answer = self.send(
      "Runtime.evaluate", expression=script, returnByValue=True
    )
    if "exceptionDetails" in answer:
      raise RuntimeError(str(answer["exceptionDetails"]))
    return answer["result"].get("value")

  def wait_for(self, script: str, seconds: float = 120.0):
    """The value of a JavaScript expression, once it is true."""
    deadline = time.monotonic() + seconds
    while not (value := self.evaluate(script)):
      assert time.monotonic() < deadline, f"{script} never came true"
      time.sleep(0.2)
    return value

  def mouse(self, kind: str, x: float, y: float, **params) -> None:
    """kind: mousePressed, mouseMoved, mouseReleased or mouseWheel."""
    held = {"button": "left", "buttons": 1, "clickCount": 1}
    if kind == "mouseWheel":
      held = {"deltaX": 0}
    self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **held, **params)

  def key(self, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
      self.send("Input.dispatchKeyEvent", type=kind, key=key)

  def resize(self, width: int, height: int) -> None:
    """Sets the size of the window's content, in pixels."""
    size = {"deviceScaleFactor": 1, "mobile": width < 600}
    resize = "Emulation.setDeviceMetricsOverride"
    self.send(resize, width=width, height=height, **size)

  def screenshot(self, path, *, width=1100, height=None, dark=False) -> None:
    """The whole page as a PNG file, as wide as asked."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else ""}
    self.send("Emulation.setEmulatedMedia", features=[scheme])
    self.resize(width, height or 800)
    height = height or self.evaluate("document.documentElement.scrollHeight")
    self.resize(width, height)
    data = self.send("Page.captureScreenshot")["data"]
    with open(path, "wb") as f:
      f.write(base64.b64decode(data))


@pytest.fixture(scope="session")
def browser():
  """One browser for all tests."""
  if PROGRAM is None or DRIVER is None:
    reason = "CHROMIUM IS MISSING: how pages behave was NOT tested"
    warnings.warn(reason, stacklevel=1)
    pytest.skip(reason)
  page = Chromium()
  yield page
  page.driver.quit()
