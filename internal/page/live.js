
(function () {
  "use strict";
  const pause = 1000, patience = 60000; // milliseconds
  const state = document.getElementById("live");
  const idle = "Updates while tests run.";
  let version = document.querySelector("meta[name=netzero-version]").content;

  async function get(path) {
    const answer = await fetch(path, { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(patience) });
    if (!answer.ok) {
      throw new Error(answer.status);
    }
    return answer;
  }

  function say(text) {
    if (state.textContent !== text) {
      state.textContent = text;
    }
  }

  // check compares the version of the results with that of the server, and updates them. Selected text stays as it is.
  async function check() {
    const current = (await (await get("api/version")).json()).version;
    if (current === version) {
      return say(idle);
    }
    if (!getSelection().isCollapsed) {
      return say("There are new results. They appear when no text is selected.");
    }
    const fresh = new DOMParser().parseFromString(await (await get("./")).text(), "text/html");
    document.dispatchEvent(new CustomEvent("netzero-results", { detail: fresh }));
    version = fresh.querySelector("meta[name=netzero-version]").content;
    say(idle);
  }

  async function run() {
    if (!document.hidden) {
      try {
        await check();
      } catch {
        say("The server does not answer. These are its last results.");
      }
    }
    setTimeout(run, pause);
  }
  say(idle);
  run();
})();
