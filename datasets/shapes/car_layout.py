# Copyright 2026 The threedim_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""Computes positions of the parts of a car with parameters `p`, in metres.

  at = Layout(p)
  half_width, top = at.shoulder(x)

`cars.py` lists the parameters. The nose points to +x, the ground is z = 0.
"""

# Values of body types that differ from a sedan's.
_HOOD = {"van": 0.12}
_TRUNK = {"hatchback": 0.03, "wagon": 0.02, "van": 0.01, "pickup": 0.40}
_REAR_WINDOW = {"van": 0.01, "wagon": 0.05, "pickup": 0.02}
_CABIN_HEIGHT = {"van": 1.55, "coupe": 0.84}
_WINDSHIELD = {"van": 0.7}


class Layout:
  """Heights and positions along the car that several parts share."""

  def __init__(self, p):
    self._p = p
    self.nose, self.tail = p.length / 2, -p.length / 2
    self.sill = p.clearance
    self.belt = p.clearance + p.body_height
    self.roof = self.belt + p.cabin_height * _CABIN_HEIGHT.get(p.body, 1.0)
    self.half = p.width / 2
    # Feet of the windshield and of the rear window.
    self.cowl = self.nose - p.length * _HOOD.get(p.body, p.hood)
    self.deck = self.tail + p.length * _TRUNK.get(p.body, p.trunk)
    run = p.length * p.windshield * _WINDSHIELD.get(p.body, 1.0)
    self.roof_front = self.cowl - run
    run = p.length * _REAR_WINDOW.get(p.body, p.rear_window)
    run += 0.3 if p.body == "coupe" else 0.0
    self.roof_rear = min(self.deck + run, self.roof_front - 0.5)
    self.axles = (
      self.nose - p.front_axle * p.length,
      self.tail + p.rear_axle * p.length,
    )
    # A wheel stays below the bonnet.
    lowest = min(self.shoulder(x)[1] for x in self.axles)
    self.wheel_radius = min(p.wheel_radius, 0.46 * lowest)
    # The foot of the cabin is a little narrower than the body.
    self.cabin_half = 0.90 * self.half
    self.roof_half = self.cabin_half - p.cabin_inset

  def shoulder(self, x: float) -> tuple[float, float]:
    """Returns half width and top of the lower body at x."""
    p = self._p
    front = max(0.0, (x - self.cowl) / (self.nose - self.cowl))
    rear = min(1.0, max(0.0, (self.deck - x) / (self.deck - self.tail)))
    taper = 1 - (1 - p.nose_taper) * front**2 - (1 - p.tail_taper) * rear**2
    top = self.belt - p.hood_drop * front**1.5 - p.tail_drop * rear
    return self.half * taper, top
