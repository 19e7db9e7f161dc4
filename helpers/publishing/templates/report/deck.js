// Slides stand below each other and snap; keys and buttons step through them.
(function () {
  "use strict";
  const body = document.body;
  const every = Array.from(document.querySelectorAll("section.slide"));
  const counter = document.getElementById("counter");
  let current = 0;

  const seen = () => every.filter((slide) => slide.offsetParent !== null || slide.offsetHeight > 0);

  function show(place, jump) {
    const slides = seen();
    current = Math.max(0, Math.min(slides.length - 1, place));
    slides[current].scrollIntoView({ behavior: jump ? "instant" : "auto", block: "start" });
    tell();
  }

  function tell() {
    const slides = seen();
    counter.textContent = (current + 1) + " / " + slides.length;
    history.replaceState(null, "", "#" + slides[current].id);
  }

  function press(button, on) { button.setAttribute("aria-pressed", on ? "true" : "false"); }

  function notes() {
    const on = !body.classList.contains("with-notes");
    body.classList.toggle("with-notes", on);
    document.querySelectorAll("details.notes").forEach((each) => { each.open = on; });
    press(document.getElementById("notes"), on);
    show(current, true);
  }

  function path() {
    const here = seen()[current];
    const on = !body.classList.contains("path-only");
    body.classList.toggle("path-only", on);
    press(document.getElementById("path"), on);
    const after = seen();
    const next = after.findIndex((slide) => every.indexOf(slide) >= every.indexOf(here));
    show(next < 0 ? after.length - 1 : next, true);
  }

  const keys = {
    ArrowRight: () => show(current + 1), PageDown: () => show(current + 1),
    ArrowLeft: () => show(current - 1), PageUp: () => show(current - 1),
    Home: () => show(0), End: () => show(every.length),
    n: notes, w: () => { if (document.getElementById("path")) path(); },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    // A table that scrolls, a link or a button keeps its own keys.
    const inside = event.target.closest && event.target.closest(".scroll, pre");
    if (inside && event.key.startsWith("Arrow")) return;
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act) { event.preventDefault(); act(); }
  });
  document.getElementById("back").addEventListener("click", () => show(current - 1));
  document.getElementById("next").addEventListener("click", () => show(current + 1));
  document.getElementById("notes").addEventListener("click", notes);
  if (document.getElementById("path")) document.getElementById("path").addEventListener("click", path);

  let waiting = 0;
  document.addEventListener("scroll", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const near = seen().map((slide) => Math.abs(slide.getBoundingClientRect().top));
      const place = near.indexOf(Math.min(...near));
      if (place !== current) { current = place; tell(); }
    }, 120);
  }, { passive: true });

  body.classList.add("scripted");
  const asked = every.findIndex((slide) => "#" + slide.id === location.hash);
  if (asked >= 0) show(asked, true); else tell();
})();
