"use strict";
// Every second the table is replaced by that of the page as it is now.
let updates = 0;
async function update() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelector("main").replaceWith(page.querySelector("main"));
      updates += 1;
      document.body.dataset.updates = updates;
    }
  } catch {
    // The server is away: the last numbers stay, and the next second may be better.
  }
  setTimeout(update, 1000);
}
setTimeout(update, 1000);
