# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The demo as users start it: every tab and button, at two widths.

DEMO_SHOTS=DIR keeps the screenshots, to be looked at.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

from chromium import Chromium
from demo_picture import picture
from programs import REPO, free_port
import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

pytest_plugins = ("chromium",)

WINDOWS = {"laptop": (1366, 768), "phone": (390, 844)}


def serve(command: list[str]):
  """Yields the address of a demo that is started by a command and a port."""
  port = free_port()
  process = subprocess.Popen(
    [sys.executable, *(word.format(port=port) for word in command)],
    env={**os.environ, "PYTHONPATH": str(REPO)},
  )
  deadline = time.monotonic() + 600
  while True:
    try:
      urllib.request.urlopen(f"http://127.0.0.1:{port}/config").close()
      break
    except OSError:
      assert process.poll() is None and time.monotonic() < deadline
      time.sleep(0.5)
  yield f"http://127.0.0.1:{port}/"
  process.terminate()
  process.wait()


@pytest.fixture(scope="module")
def served():
  """A demo whose sampler is quick: how the page behaves is the subject."""
  yield from serve([str(REPO / "tests/support/demo_server.py"), "{port}"])


@pytest.fixture(scope="module")
def served_with_weights():
  """A demo as a user starts it."""
  module = ["-m", "threedim_jax.demo", "--port={port}"]
  yield from serve([*module, "--pretrained=shapes32"])


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
  kept = os.environ.get("DEMO_SHOTS")
  return pathlib.Path(kept) if kept else tmp_path_factory.mktemp("shots")


def text_of(page, selector: str) -> str:
  return page.evaluate(f"document.querySelector('{selector}')?.innerText || ''")


def click(page, selector: str) -> None:
  page.wait_for(f"!!document.querySelector('{selector}')")
  page.evaluate(f"document.querySelector('{selector}').click()")


def set_number(page, selector: str, value) -> None:
  page.evaluate(f"""(() => {{
    const input = document.querySelector('{selector} input[type=number]');
    input.value = {value};
    for (const kind of ['input', 'change', 'blur'])
      input.dispatchEvent(new Event(kind, {{bubbles: true}}));
  }})()""")


def open_page(page, address: str, size=(1366, 768)) -> None:
  page.resize(*size)
  page.open(address)
  # The preview is made by the page's own script once it runs.
  page.wait_for("document.querySelectorAll('#map circle title').length > 5")


def upload(page, file: str) -> None:
  # The input lies beside the button #upload, which Gradio shows instead.
  field = page.driver.find_element(
    "css selector", "input[type=file][data-testid$=upload-button]"
  )
  field.send_keys(file)


def count(page, selector: str) -> int:
  return page.evaluate(f"document.querySelectorAll('{selector}').length")


@pytest.mark.slow
def test_a_user_s_first_views(served_with_weights, browser, tmp_path):
  """With the real weights: upload, generate, and the views change."""
  open_page(browser, served_with_weights)
  upload(browser, picture(tmp_path, "mine.png"))
  click(browser, "#more button")
  browser.wait_for("!!document.querySelector('#num-views input')")
  set_number(browser, "#num-views", 2)
  browser.wait_for("document.querySelectorAll('#map circle title').length == 3")
  click(browser, "#generate")
  browser.wait_for("!!document.querySelector('#orbit-viewer')", 600)
  sources = browser.evaluate(
    "[...document.querySelectorAll('#views img')].map(i => i.src)"
  )
  assert len(sources) == 3 and len(set(sources)) == 3


@pytest.mark.slow
def test_only_this_machine_is_served(served):
  config = urllib.request.urlopen(f"{served}config").read()
  assert '"analytics_enabled": false' in json.dumps(json.loads(config))
  port = int(served.split(":")[-1].strip("/"))
  for address in {i[4][0] for i in socket.getaddrinfo(socket.gethostname(), 0)}:
    if address.startswith("127.") or ":" in address:
      continue
    with pytest.raises(OSError), socket.create_connection((address, port), 2):
      pass


@pytest.mark.slow
def test_a_laptop_shows_all_that_matters_without_scrolling(served, browser):
  open_page(browser, served)
  intro = " ".join(text_of(browser, "#intro").split())
  assert "32x32 pixels" in intro and "A view takes about 0.4 s here" in intro
  for selector in ("#upload", "#generate", "#stop", "#examples", "#pictures",
                   "#map", "#azimuth", "#elevation", "#status"):  # fmt: skip
    box = browser.evaluate(
      f"(r => [r.top, r.bottom, r.width])(document.querySelector("
      f"'{selector}').getBoundingClientRect())"
    )
    assert 0 <= box[0] < box[1] <= 768 and box[2] > 30, selector
  # The preview is the whole picture: neither of the two is cropped.
  fit = browser.evaluate(
    "[...document.querySelectorAll('#pictures img')]"
    ".map(i => getComputedStyle(i).objectFit)"
  )
  assert fit == ["contain"] * 2
  sections = browser.evaluate(
    "[...document.querySelectorAll('#more, #sampler')]"
    ".map(e => e.querySelectorAll('input').length)"
  )
  assert not any(sections), "folded sections are closed at first"


@pytest.mark.slow
@pytest.mark.parametrize("window", WINDOWS)
def test_every_tab_and_button(served, browser, shots, window):
  width, height = size = WINDOWS[window]
  open_page(browser, served, size)
  shot = lambda name, **kw: browser.screenshot(
    shots / f"{window}_{name}.png", width=width, **kw
  )
  shot("open", height=height)
  click(browser, "#examples button:nth-of-type(2)")  # the first chair
  browser.wait_for(
    "document.querySelector('#azimuth input[type=number]').value == '40'"
  )
  for section in ("#more", "#sampler"):
    click(browser, f"{section} button")
  browser.wait_for("!!document.querySelector('#num-views input')")
  set_number(browser, "#num-views", 3)
  set_number(browser, "#steps", 8)
  browser.wait_for("document.querySelectorAll('#map circle title').length == 4")
  click(browser, "#generate")
  browser.wait_for("document.querySelectorAll('#views img').length >= 1")
  largest = browser.evaluate(
    "Math.max(...[...document.querySelectorAll('#views img')]"
    ".map(i => i.getBoundingClientRect().width))"
  )
  assert largest < 200, "the given picture is not blown up"
  browser.wait_for("!!document.querySelector('#orbit-viewer')", 240)
  assert count(browser, "#views img") == 4
  browser.wait_for(
    "document.querySelector('#status').innerText.startsWith('3 views are done')"
  )
  assert browser.evaluate("scrollY") == 0, "the orbit does not scroll the page"
  assert (
    browser.evaluate("document.querySelectorAll('#views .waiting').length") == 0
  )
  inside = "document.querySelector('#orbit-viewer').contentDocument"
  browser.wait_for(f"{inside}?.querySelectorAll('[data-frame]').length == 4")
  time.sleep(0.5)  # the frame takes the height of the page in it
  cut = browser.evaluate(
    f"{inside}.documentElement.scrollHeight - "
    "document.querySelector('#orbit-viewer').clientHeight"
  )
  assert cut <= 0, "the viewer's captions are whole"
  shot("views")
  for tab, selector in (
    ("looked at", "#looked table"),
    ("mesh", "#fit"),
    ("stochastic", "#compare"),
  ):
    open_tab(browser, tab)
    browser.wait_for(f"!!document.querySelector('{selector}')?.offsetParent")
    if tab == "looked at":
      assert count(browser, "#looked tr") == 3
    elif tab == "mesh":
      click(browser, "#fit")
      browser.wait_for(
        "document.querySelector('#agreement')?.innerText.includes('agree to')",
        900,
      )
    else:
      click(browser, "#compare")
      browser.wait_for(
        "document.querySelector('#comparison table')?.innerText.length > 9", 600
      )
      assert count(browser, "#stochastic img") == 4
      assert count(browser, "#first img") == 4
    shot(tab.split()[0])
    wide = browser.evaluate("document.documentElement.scrollWidth")
    assert wide <= width, f"{tab} is wider than the page"


def open_tab(page, name: str) -> None:
  """Clicks a tab, in the menu of those that have no room if need be."""
  find = (
    "[...document.querySelectorAll('[role=tab], .overflow-dropdown button')]"
    f".find(b => b.innerText.includes('{name}') && b.offsetParent)"
  )
  if not page.evaluate(f"!!{find}"):
    page.evaluate("document.querySelector('.overflow-menu > button').click()")
    page.wait_for(f"!!{find}", 20)
  page.evaluate(f"{find}.click()")


@pytest.mark.slow
def test_a_file_that_is_no_picture_gets_a_sentence(served, browser, tmp_path):
  open_page(browser, served)
  (tmp_path / "notes.png").write_text("not a picture")
  upload(browser, str(tmp_path / "notes.png"))
  toast = "document.querySelector('.toast-body, .toast-wrap')?.innerText || ''"
  message = browser.wait_for(toast, 30)
  assert "notes.png does not decode" in message
  assert "/tmp" not in message and "gradio" not in message
  upload(browser, picture(tmp_path, "mine.png"))
  # The upload replaces the example: blue, as the picture is.
  browser.wait_for("document.querySelectorAll('#pictures img').length == 2", 30)


@pytest.mark.slow
def test_two_visitors_one_of_whom_presses_stop(served, browser):
  other = Chromium()
  try:
    for page in (browser, other):
      open_page(page, served)
      click(page, "#more button")
      page.wait_for("!!document.querySelector('#num-views input')")
    set_number(browser, "#num-views", 20)
    set_number(other, "#num-views", 4)
    other.wait_for("document.querySelectorAll('#map circle title').length == 5")
    browser.wait_for(
      "document.querySelectorAll('#map circle title').length == 21"
    )
    for page in (browser, other):
      click(page, "#generate")
    browser.wait_for("document.querySelectorAll('#views img').length >= 3", 240)
    click(browser, "#stop")
    browser.wait_for("!!document.querySelector('#orbit-viewer')", 240)
    stopped = count(browser, "#views img")
    assert 3 <= stopped < 21
    browser.wait_for(
      "document.querySelector('#status').textContent.includes('done. Drag')"
    )
    # The other one goes on to the end, with their own number of views.
    other.wait_for("!!document.querySelector('#orbit-viewer')", 240)
    assert count(other, "#views img") == 5
    time.sleep(2)
    assert count(browser, "#views img") == stopped
  finally:
    other.driver.quit()
