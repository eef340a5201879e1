// Makes and lists short links by the API this page is served beside (/tr/v1/pub/ -> /tr/v1/rpi/).
// What the API answers is put into the page as text alone; the password lives in its input and nowhere else.
"use strict";

const field = (id) => document.getElementById(id);
const api = location.pathname.split("/pub/")[0] + "/rpi/";

function authorization() {
  const bytes = new TextEncoder().encode(`${field("uid").value.trim()}:${field("password").value}`);
  return "Basic " + btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function say(text, isBad = false) {
  field("status").textContent = text;
  field("status").classList.toggle("bad", isBad);
}

async function ask(path, options = {}) {
  const headers = { Authorization: authorization(), ...options.headers };
  const answer = await fetch(api + path, { ...options, headers, credentials: "omit", cache: "no-store" });
  if (!answer.ok) {
    throw new Error(`${answer.status}: ${await answer.text()}`);
  }
  return answer;
}

function linkTo(address) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return document.createTextNode(address);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return document.createTextNode(address);
  }
  const link = document.createElement("a");
  link.href = url.href;
  link.rel = "noopener noreferrer";
  link.textContent = address;
  return link;
}

function show(rows) {
  const body = field("results").tBodies[0];
  body.replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement("tr");
      for (const content of [document.createTextNode(row.updated_at), linkTo(row.urlfrom), linkTo(row.urlto)]) {
        line.appendChild(document.createElement("td")).append(content);
      }
      return line;
    }),
  );
  field("results").hidden = rows.length === 0;
}

async function make() {
  const sent = {};
  for (const name of ["urlfrom", "urlto", "oid", "org"]) {
    if (field(name).value.trim()) sent[name] = field(name).value.trim();
  }
  await ask("redirect", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(sent),
  });
  say("The link is stored and followed from now on.");
}

async function list() {
  const host = new URL(field("urlfrom").value).host;
  const { results } = await (await ask("redirects/" + encodeURIComponent(host))).json();
  show(results);
  say(`${results.length} changes, newest first`);
}

async function attempt(action) {
  say("…");
  try {
    await action();
  } catch (error) {
    say(error.message, true);
  }
}

field("form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(make);
});
field("list").addEventListener("click", () => attempt(list));
