# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Camera angles, and the viewer as a person uses it in a real browser."""

import time

from fake_run import HOSTILE, fake_sample
import numpy as np
import pytest

from threedim_jax.viewing import viewer
from threedim_jax.views.camera_paths import look_at, sphere_points

pytest_plugins = "chromium"  # the fixture `browser`

# ----------------------------------------------------------------- angles


@pytest.mark.parametrize("centre", [(0, 0, 0), (5, -3, 1)])
def test_view_angles_are_those_of_the_orbit(centre):
  azimuth = np.array([-150.0, -90, 0, 45, 120])
  elevation = np.array([10.0, 60, -5, 30, 85])
  cameras = look_at(sphere_points(azimuth, elevation, 2.0))
  cameras[:, :3, 3] += centre
  got = viewer.view_angles(cameras)
  np.testing.assert_allclose(got, [azimuth, elevation], atol=1e-6)


def test_view_angles_of_a_single_camera_are_finite():
  assert np.isfinite(viewer.view_angles(np.eye(4)[None])).all()


def test_frames_go_by_pose_or_as_generated():
  sampled = fake_sample(num_views=4)

  def labels(**options) -> list[str]:
    return [f["label"] for f in viewer.orbit(sampled, **options).frames]

  assert labels() == ["view 0", "view 1", "view 2", "view 3"]
  assert labels(max_views=2) == ["view 0", "view 1", "view 3"]
  sampled.generated.index[:] = [7, -1, 2]
  assert labels() == ["view 0", "view 7", "#1", "view 2"]
  sampled.generated.index[:] = [3, 1, 2]
  sampled.given.index[:] = 2
  assert labels() == ["view 1", "view 2", "view 2", "view 3"]


def test_facts_of_another_methods_folder_may_be_missing():
  sampled = fake_sample()
  assert viewer.orbit(sampled).facts.endswith(
    "64 steps, guidance 3.0, stochastic conditioning, 0.8 s a view"
  )
  sampled.info.clear()
  sampled.info["seconds_per_view"] = "unknown"
  assert viewer.orbit(sampled).facts.endswith("generated")


def test_each_frame_has_its_psnr():
  sampled = fake_sample(num_views=3)
  sampled.generated.images_u8[0] = 100
  sampled.truth.images_u8[0] = 110  # 20 log10(255 / 10) = 28.1
  sampled.generated.images_u8[1] = sampled.truth.images_u8[1]
  frames = viewer.orbit(sampled).frames
  assert [f["note"] for f in frames] == ["given", "28.1 dB", "inf dB"]


# ---------------------------------------------------------------- browser


class Viewer:
  """The one viewer on the page, used as a person would."""

  def __init__(self, page, path):
    self.page = page
    page.open(path)
    script = (
      "(r => [r.left, r.top, r.width, r.height])(document.querySelector("
      "'[data-part=screen]').getBoundingClientRect())"
    )
    left, top, self.width, self.height = page.evaluate(script)
    self.x, self.y = left + self.width / 2, top + self.height / 2

  @property
  def shown(self) -> int:
    return int(self.of("document.querySelector('[data-viewer]').dataset.shown"))

  @property
  def touch_action(self) -> str:
    screen = "document.querySelector('[data-part=screen]')"
    return self.of(f"{screen}.style.touchAction")

  def of(self, script: str):
    return self.page.evaluate(script)

  def press(self):
    self.page.mouse("mousePressed", self.x, self.y)

  def move(self, dx: float, dy: float):
    """By fractions of the picture, from its middle."""
    x, y = self.x + dx * self.width, self.y + dy * self.height
    self.page.mouse("mouseMoved", x, y)

  def release(self):
    self.page.mouse("mouseReleased", self.x, self.y)

  def click(self, selector: str):
    self.of(f"document.querySelector('{selector}').click()")


RING = 12  # views on each of two rings; frame 0 is the given one


@pytest.fixture
def orbit(browser, tmp_path):
  sampled = fake_sample(num_views=RING, elevations=(0.2, 0.7), resolution=16)
  return Viewer(browser, viewer.write_viewer(tmp_path, sampled))


def test_drag_picks_the_nearest_camera(orbit):
  """The width of the picture is 180 degrees, and the object follows."""
  assert orbit.shown == 1  # the first generated view
  assert not orbit.of("document.querySelector('[data-part=controls]').hidden")
  orbit.press()
  orbit.move(-1 / 6, 0)
  assert orbit.shown == 2  # to the left: camera moves on by 30 degrees
  orbit.move(-1 / 3 - 0.05, 0.01)
  assert orbit.shown == 3
  orbit.move(1 / 3, 0)
  assert orbit.shown == RING - 1  # past the given view, round the back
  orbit.move(0, 0.3)
  assert orbit.shown == RING + 1  # up one ring
  orbit.move(0, 5)
  assert orbit.shown == RING + 1  # no camera is higher
  orbit.release()
  orbit.move(0.3, 0)
  assert orbit.shown == RING + 1


def test_what_is_shown_is_the_frame_and_its_truth(orbit):
  frames = "[...document.querySelectorAll('[data-frame]')]"
  for index in (RING + 2, 0, 4):
    orbit.of(f"{frames}[{index}].click()")
    assert orbit.shown == index
    image, truth = orbit.of(
      "['image', 'truth'].map(n => document.querySelector("
      "`[data-part=${n}]`).src)"
    )
    strip = orbit.of(
      f"[...{frames}[{index}].querySelectorAll('img')].map(i => i.src)"
    )
    assert [image, truth] == [strip[0], strip[-1]]
    current = f"{frames}.map(b => b.getAttribute('aria-current'))"
    assert orbit.of(current).index("true") == index
    dots = "[...document.querySelectorAll('.current')].map(d => d.dataset.dot)"
    assert orbit.of(dots) == [str(index)]
    given = not orbit.of("document.querySelector('[data-part=badge]').hidden")
    assert given == (index == 0)
  text = orbit.of("document.querySelector('[data-part=readout]').textContent")
  assert text.startswith("view 4 · azimuth 120°, elevation 11° · ")


def test_keys(orbit):
  keys = ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowDown", "ArrowLeft")
  shown = []
  for key in (*keys, "Home", "ArrowLeft"):
    orbit.page.key(key)
    shown.append(orbit.shown)
  assert shown == [2, 3, RING + 3, 3, 2, 0, 0]  # two rings: the path is open


def test_play_goes_on_and_stops(orbit):
  orbit.page.key(" ")
  seen = {orbit.shown}
  while len(seen) < 3:  # a stuck one would run into the browser's time limit
    seen.add(orbit.shown)
  pressed = "document.querySelector('[data-part=play]').ariaPressed"
  assert orbit.of(pressed) == "true"
  orbit.click("[data-part=play]")
  assert orbit.of(pressed) == "false"
  stopped = orbit.shown
  time.sleep(0.3)
  assert orbit.shown == stopped


def test_wheel_turns_only_what_was_chosen(orbit):
  orbit.of("document.activeElement.blur()")
  wheel = lambda: orbit.page.mouse("mouseWheel", orbit.x, orbit.y, deltaY=100)
  wheel()
  assert orbit.shown == 1
  orbit.press()
  orbit.release()
  wheel()
  assert orbit.shown == 2


def test_scrub_and_touch(orbit):
  orbit.of(
    "(s => { s.value = 5; s.dispatchEvent(new Event('input')); })"
    "(document.querySelector('[data-part=scrub]'))"
  )
  assert orbit.shown == 5
  for kind, dx in (("Start", 0), ("Move", -0.02), ("Move", -1 / 6)):
    point = {"x": orbit.x + dx * orbit.width, "y": orbit.y}
    orbit.page.send(
      "Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=[point]
    )
  orbit.page.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
  assert orbit.shown == 6
  assert orbit.touch_action == "none"


def test_a_closed_orbit_goes_round(browser, tmp_path):
  sampled = fake_sample(num_views=8, resolution=16)
  orbit = Viewer(browser, viewer.write_viewer(tmp_path, sampled))
  shown = []
  for key in ("Home", "ArrowLeft", "ArrowRight", "ArrowUp"):
    orbit.page.key(key)
    shown.append(orbit.shown)
  assert shown == [0, 7, 0, 0]
  assert orbit.touch_action == "pan-y"  # one ring: swiping up scrolls the page


def test_hostile_names_run_nothing_in_a_browser(browser, tmp_path):
  sampled = fake_sample(HOSTILE, num_views=2)
  browser.open(viewer.write_viewer(tmp_path, sampled))
  assert browser.evaluate("typeof planted") == "undefined"
  assert browser.evaluate("document.querySelector('h1').textContent") == HOSTILE
