// Keeps a run's figures up to date while it is being sent. Without it the page reloads itself, see run.html.
"use strict";
(() => {
  const live = document.querySelector("[data-live]");
  if (!live) return;
  const bar = live.querySelector("progress");
  const line = live.querySelector("[data-line]");

  async function look() {
    try {
      const answer = await fetch(live.dataset.live, { headers: { Accept: "application/json" } });
      if (answer.redirected || !answer.ok) throw new Error("signed out, or out of order");
      const now = await answer.json();
      if (now.state !== live.dataset.state) {
        location.reload();
        return;
      }
      bar.max = now.total || 1;
      bar.value = now.done;
      line.textContent = now.line;
      for (const [state, figure] of Object.entries(now.counts)) {
        const cell = live.querySelector(`[data-count="${state}"]`);
        if (cell) cell.textContent = figure;
      }
    } catch {
      line.textContent = line.dataset.lost;
    }
    setTimeout(look, document.hidden ? 15000 : 2000);
  }

  setTimeout(look, 2000);
})();
