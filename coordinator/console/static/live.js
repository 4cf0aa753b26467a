/* Keep a watched job fresh: one stream of server-sent events that goes on where it broke off.
   The panel is drawn by the server; here it is only put in place. A screen reader hears a sentence now and then, not
   every round. */
(function () {
  "use strict";
  var live = document.getElementById("live");
  if (!live || !window.EventSource) { return; }
  var panel = document.getElementById("live-panel");
  var status = document.getElementById("live-status");
  var line = document.getElementById("line");
  var seen = live.dataset.after;
  var spoken = 0, waiting = null, source = null, wait = 1000;

  function speak(text) {
    window.clearTimeout(waiting);
    var rest = spoken + 5000 - Date.now();
    waiting = window.setTimeout(function () {
      spoken = Date.now();
      if (status.textContent !== text) { status.textContent = text; }
    }, Math.max(0, rest));
  }

  function show(event) {
    var told = JSON.parse(event.data);
    if (event.lastEventId) { seen = event.lastEventId; }
    wait = 1000;
    panel.innerHTML = told.panel;
    speak(told.status);
    if (line && told.rows) { line.insertAdjacentHTML("afterbegin", told.rows); }
    if (told.over) {
      source.close();
      /* The finished page has the outcome, which the panel has not. */
      if (live.dataset.reload !== "no") { window.setTimeout(function () { window.location.reload(); }, 1500); }
    }
  }

  function open() {
    source = new EventSource(live.dataset.stream + "&after=" + encodeURIComponent(seen));
    source.addEventListener("live", show);
    source.onerror = function () {
      if (source.readyState !== EventSource.CLOSED) { return; }
      speak(live.dataset.lost);
      wait = Math.min(wait * 2, 30000);
      window.setTimeout(open, wait);
    };
  }

  window.addEventListener("pagehide", function () { if (source) { source.close(); } });
  open();
})();
