/* Drag-to-orbit over real frames: one viewer per [data-viewer] element.
   The strip holds the frames: pictures, and camera angles as data-*. */
"use strict";
(() => {
  const DEGREES_PER_WIDTH = 180; // a drag across the picture turns by this
  const WHEEL_NOTCH = 40; // pixels of wheel movement per frame
  const FRAME_MS = 110;

  const direction = (azimuth, elevation) => {
    const a = (azimuth * Math.PI) / 180;
    const e = (elevation * Math.PI) / 180;
    return [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
  };
  const cosine = (u, v) => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];

  function nearest(frames, azimuth, elevation) {
    const wanted = direction(azimuth, elevation);
    let best = frames[0];
    for (const frame of frames) {
      const gain = cosine(frame.toward, wanted) - cosine(best.toward, wanted);
      if (gain > 1e-9) best = frame;
    }
    return best;
  }

  // A closed orbit is played in a loop, any other one back and forth.
  function isClosed(frames) {
    const apart = (i, j) =>
      Math.acos(Math.min(1, cosine(frames[i].toward, frames[j].toward)));
    const steps = frames.slice(1).map((_, i) => apart(i, i + 1));
    const typical = steps.sort((a, b) => a - b)[steps.length >> 1] || 0;
    return apart(0, frames.length - 1) <= 1.25 * typical;
  }

  function makeViewer(root) {
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    const dot = (frame) => root.querySelector(`[data-dot="${frame.index}"]`);
    const frames = [...root.querySelectorAll("[data-frame]")].map(
      (button, index) => {
        const [image, truth] = button.querySelectorAll("img");
        const azimuth = Number(button.dataset.azimuth);
        const elevation = Number(button.dataset.elevation);
        return {
          index, button, azimuth, elevation,
          src: image.src,
          truthSrc: (truth || image).src, // a given view is its own truth
          given: "given" in button.dataset,
          label: button.dataset.label,
          note: button.dataset.note,
          toward: direction(azimuth, elevation),
        };
      }
    );
    const elevations = frames.map((frame) => frame.elevation);
    const [lowest, highest] = [Math.min(...elevations), Math.max(...elevations)];
    const closed = isClosed(frames);
    const given = frames.find((frame) => frame.given) || frames[0];
    let current = null;
    let timer = null;
    let forward = 1;

    function show(frame) {
      if (frame === current) return;
      if (current) {
        current.button.removeAttribute("aria-current");
        dot(current).classList.remove("current");
      }
      current = frame;
      part("image").src = frame.src;
      if (part("truth")) part("truth").src = frame.truthSrc;
      part("badge").hidden = !frame.given;
      part("caption").textContent =
        (frame.given ? "given" : "generated") + " · drag to turn";
      const angles =
        `azimuth ${Math.round(frame.azimuth)}°, ` +
        `elevation ${Math.round(frame.elevation)}°`;
      const notes = [frame.label, angles];
      if (frame.note) notes.push(frame.note);
      part("readout").textContent = notes.join(" · ");
      part("screen").setAttribute("aria-label", notes.join(", "));
      part("scrub").value = frame.index;
      part("scrub").setAttribute("aria-valuetext", notes.join(", "));
      frame.button.setAttribute("aria-current", "true");
      dot(frame).classList.add("current");
      root.dataset.shown = frame.index;
      const strip = part("strip"); // scroll it alone, never the page
      const { offsetLeft, offsetWidth } = frame.button.parentElement;
      strip.scrollLeft =
        offsetLeft - strip.offsetLeft - (strip.clientWidth - offsetWidth) / 2;
    }

    function step(count) {
      const n = frames.length;
      const next = current.index + count;
      show(frames[closed ? (next + n) % n : Math.max(0, Math.min(n - 1, next))]);
    }

    function tilt(sign) {
      const beyond = frames.filter(
        (frame) => sign * (frame.elevation - current.elevation) > 1
      );
      if (beyond.length) {
        show(nearest(beyond, current.azimuth, current.elevation));
      }
    }

    function play(on) {
      clearInterval(timer);
      timer = on ? setInterval(tick, FRAME_MS) : null;
      part("play").textContent = on ? "❚❚" : "▶";
      part("play").setAttribute("aria-pressed", String(on));
      part("play").setAttribute("aria-label", on ? "pause" : "play");
    }

    function tick() {
      const last = frames.length - 1;
      if (!closed && current.index === last) forward = -1;
      if (closed || current.index === 0) forward = 1;
      step(forward);
    }

    const screen = part("screen");
    let grip = null; // where a drag began: pointer and camera
    screen.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      play(false);
      screen.setPointerCapture(event.pointerId);
      const { azimuth, elevation } = current;
      grip = { x: event.clientX, y: event.clientY, azimuth, elevation };
    });
    screen.addEventListener("pointermove", (event) => {
      if (!grip) return;
      const scale = DEGREES_PER_WIDTH / screen.clientWidth;
      // The object follows the hand, so the camera goes the other way.
      const azimuth = grip.azimuth - (event.clientX - grip.x) * scale;
      const elevation = grip.elevation + (event.clientY - grip.y) * scale;
      const kept = Math.max(lowest, Math.min(highest, elevation));
      show(nearest(frames, azimuth, kept));
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      screen.addEventListener(end, () => (grip = null));
    }
    // If all views have one elevation, a vertical swipe scrolls the page.
    screen.style.touchAction = highest - lowest > 5 ? "none" : "pan-y";

    let wheel = 0;
    screen.addEventListener(
      "wheel",
      (event) => {
        // Acts only if the viewer has the focus, else the page scrolls.
        if (document.activeElement !== screen) return;
        event.preventDefault();
        play(false);
        wheel += event.deltaY + event.deltaX;
        const notches = Math.trunc(wheel / WHEEL_NOTCH);
        wheel -= notches * WHEEL_NOTCH;
        if (notches) step(Math.sign(notches));
      },
      { passive: false }
    );

    const keys = {
      ArrowRight: () => step(1),
      ArrowLeft: () => step(-1),
      ArrowUp: () => tilt(1),
      ArrowDown: () => tilt(-1),
      Home: () => show(given),
      " ": () => play(!timer),
    };
    screen.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      if (event.key !== " ") play(false);
      keys[event.key]();
    });

    part("play").addEventListener("click", () => play(!timer));
    part("scrub").addEventListener("input", (event) => {
      play(false);
      show(frames[Number(event.target.value)]);
    });
    for (const frame of frames) {
      frame.button.addEventListener("click", () => {
        play(false);
        show(frame);
      });
    }
    part("controls").hidden = false;
    show(frames.find((frame) => !frame.given) || given);
  }

  document.querySelectorAll("[data-viewer]").forEach(makeViewer);
  // Keys work at once on a page with one viewer. Inside another page, such as a
  // notebook, taking the focus would scroll that page.
  if (window === window.top) document.querySelector("[data-alone]")?.focus();
})();
