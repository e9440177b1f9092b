// What makes the console pleasant; every page works without it.
"use strict";

// Times in the reader's own zone, beside UTC.
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const dayAndClock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
function tellLocalTimes(root) {
  if (new Date().getTimezoneOffset() === 0) return;
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const local = document.createElement("span");
    local.className = "local";
    local.textContent = ` ${(at.getDate() === at.getUTCDate() ? clock : dayAndClock).format(at)} here`;
    time.append(local);
  }
}

// A page whose subject still moves is looked at again, and only its main part is exchanged, if it
// changed: a screen reader would read it out again each time.
let seen = document.querySelector("main").innerHTML;
async function lookAgain() {
  const seconds = Number(document.body.dataset.refresh);
  if (!seconds) return;
  await new Promise((done) => setTimeout(done, seconds * 1000));
  const typing = document.querySelector("main form :focus, main details[open], main a:focus");
  if (document.visibilityState === "visible" && !typing) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      if (fresh.innerHTML !== seen) {
        seen = fresh.innerHTML;
        document.querySelector("main").replaceChildren(...fresh.childNodes);
        enhance(document.querySelector("main"));
      }
      if (page.body.dataset.refresh) document.body.dataset.refresh = page.body.dataset.refresh;
      else delete document.body.dataset.refresh;
    } catch {
      // The console ended; the page stays as it is.
    }
  }
  lookAgain();
}

// One press is one request: a second one would be recognised by its id, and is not even sent.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
});
addEventListener("pageshow", () => {
  for (const form of document.forms) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-busy");
  }
});

// "/" leads to the search.
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  const search = document.querySelector("[data-hotkey='/']");
  if (search) {
    event.preventDefault();
    search.focus();
  }
});

// A file may be dropped.
function acceptDrops(root) {
  for (const form of root.querySelectorAll("[data-drop]")) {
    const input = form.querySelector("input[type=file]");
    const chosen = form.querySelector("[data-chosen]");
    const tell = () => {
      if (input.files.length) chosen.textContent = `${input.files[0].name}: nothing is paid before you say so.`;
    };
    input.addEventListener("change", tell);
    for (const name of ["dragenter", "dragover"]) {
      form.addEventListener(name, (event) => {
        event.preventDefault();
        form.classList.add("over");
      });
    }
    form.addEventListener("dragleave", () => form.classList.remove("over"));
    form.addEventListener("drop", (event) => {
      event.preventDefault();
      form.classList.remove("over");
      if (event.dataTransfer.files.length === 1) {
        input.files = event.dataTransfer.files;
        tell();
      }
    });
  }
}

// What an amount will do, while it is typed. In whole minor units: no floats near money.
function minor(text, decimals) {
  const parts = /^(\d{1,15})(?:\.(\d*))?$/.exec(text.trim());
  if (!parts || (parts[2] ?? "").replace(/0+$/, "").length > decimals) return null;
  return BigInt(parts[1] + (parts[2] ?? "").slice(0, decimals).padEnd(decimals, "0"));
}
function written(amount, decimals) {
  const digits = amount.toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, ",");
  return decimals ? `${whole}.${digits.slice(-decimals)}` : whole;
}
function tellWhatItWillDo(root) {
  for (const input of root.querySelectorAll("input[data-left]")) {
    const will = input.form.querySelector("[data-will]");
    const { left, currency, verb } = input.dataset;
    const decimals = (left.split(".")[1] ?? "").length;
    const tell = () => {
      const amount = minor(input.value, decimals);
      const rest = amount === null ? null : minor(left, decimals) - amount;
      if (rest === null || amount <= 0n || rest < 0n) {
        will.textContent = `An amount above 0, of at most ${left} ${currency}.`;
        return;
      }
      const what = verb === "refund" ? "The customer gets" : "The customer is charged";
      const after = verb === "refund" ? "can still be given back" : "is left";
      will.textContent = `${what} ${written(amount, decimals)} ${currency}; ${written(rest, decimals)} ${currency} ${after}.`;
    };
    input.addEventListener("input", tell);
    tell();
  }
}

// A press on an id copies it.
function offerCopies(root) {
  for (const id of root.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${id.textContent}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(id.textContent);
      button.textContent = "Copied";
    });
    id.after(" ", button);
  }
}

function enhance(root) {
  tellLocalTimes(root);
  acceptDrops(root);
  tellWhatItWillDo(root);
  offerCopies(root);
}
enhance(document);
lookAgain();
