// Sends the form with the token that stands behind `#` in the address, and says what came of it.
"use strict";

const form = document.getElementById("form");
const outcome = document.getElementById("outcome");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
// Out of sight, and out of the browser's history.
history.replaceState(null, "", location.pathname);

function say(text, kind) {
  outcome.textContent = text;
  outcome.className = kind;
}

if (!token) {
  form.hidden = true;
  say("The link is not whole: open it once more from where you got it.", "bad");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const repeated = document.getElementById("repeated");
  if (repeated && repeated.value !== document.getElementById("new_password").value) {
    say("The two passwords differ.", "bad");
    repeated.focus();
    return;
  }
  const body = { token };
  for (const field of form.querySelectorAll("input[name]")) {
    if (field.value !== "") body[field.name] = field.value;
  }
  const button = form.querySelector("button");
  button.disabled = true;
  say("One moment…", "");
  try {
    const answer = await fetch(form.dataset.path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      form.hidden = true;
      say(form.dataset.done, "good");
      return;
    }
    const problem = await answer.json().catch(() => ({}));
    say(problem.detail || `The server answered ${answer.status}.`, "bad");
  } catch {
    say("The server cannot be reached. Try again in a moment.", "bad");
  }
  button.disabled = false;
});
