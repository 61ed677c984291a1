// The end of a log that goes on: asks once a second for what was printed since, follows it while the reader does, keeps the last lines.
// After a search it shows what was found; one that has not come to the end is asked on, until another link is taken.
"use strict";
(() => {
  const log = document.getElementById("log");
  if (!log) return;
  const MOST = 400_000;
  const goesOn = document.querySelector("[data-goes-on]");
  if (goesOn) setTimeout(() => location.replace(goesOn.href), Number(goesOn.dataset.goesOn));
  const found = document.getElementById("found");
  if (found) log.scrollTop = found.offsetTop - log.clientHeight / 3;
  else if (!new URLSearchParams(location.search).has("at")) log.scrollTop = log.scrollHeight;
  if (!log.dataset.tail) return;
  let last = Number(log.dataset.last);
  let wait = 1000;

  async function look() {
    if (!document.hidden) {
      try {
        const answer = await fetch(`${log.dataset.tail}?first=${last}`, { headers: { Accept: "application/json" } });
        if (answer.ok) {
          const said = await answer.json();
          wait = said.text ? 250 : 1000;
          add(said);
          if (!said.more) return;
        } else if (answer.status === 404 || answer.status === 401) return;
      } catch { wait = 3000; }
    }
    setTimeout(look, wait);
  }

  function add(said) {
    if (said.last < last) last = said.last; // it was cut off, and begins anew
    if (!said.text) return;
    const follows = document.getElementById("log-follow")?.checked;
    log.append(said.text);
    if (log.textContent.length > MOST) log.textContent = log.textContent.slice(-MOST / 2);
    last = said.last;
    document.getElementById("log-last").textContent = last.toLocaleString("en");
    if (follows) log.scrollTop = log.scrollHeight;
  }

  setTimeout(look, wait);
})();
