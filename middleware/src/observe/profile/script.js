"use strict";
// Replaces the table every second with that of the current page.
let updates = 0;
async function update() {
  try {
    const response = await fetch(location.href, { cache: "no-store" });
    if (response.ok) {
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      document.querySelector("main").replaceWith(page.querySelector("main"));
      updates += 1;
      document.body.dataset.updates = updates;
    }
  } catch {
    // The server is unavailable: keep the last numbers, and try again in a second.
  }
  setTimeout(update, 1000);
}
setTimeout(update, 1000);
