// Puts together a link to the tracker's redirect or pixel; `?url=` fills in the address (as a browser's menu does).
"use strict";

const field = (id) => document.getElementById(id);
const NAMES = [
  "ptyp", "utm_source", "utm_medium", "utm_campaign", "utm_term", "aff", "sink", "score", "xid", "ver",
  "utm_content", "etyp", "ref", "url",
];

function cookie(name) {
  const pair = document.cookie.split("; ").find((one) => one.startsWith(`${name}=`));
  return pair ? pair.slice(name.length + 1) : "";
}

function isHttp(address) {
  try {
    return ["https:", "http:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}

function trackedLink() {
  const tracker = field("tracker").value.trim().replace(/\/+$/, "");
  if (!isHttp(tracker)) return "";
  const query = new URLSearchParams({ gu: "1" });
  for (const name of NAMES) {
    const value = field(name).value.trim();
    if (value) query.set(name, value);
  }
  if (query.has("url") && !isHttp(query.get("url"))) return "";
  return `${tracker}/${field("kind").value}/?${query}`;
}

function show() {
  const link = trackedLink();
  field("link").textContent = link;
  field("copy").disabled = !link;
  field("status").textContent = link ? "" : "Tracker and address must begin with https:// or http://";
}

async function copy() {
  try {
    await navigator.clipboard.writeText(field("link").textContent);
    field("status").textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(field("link"));
    field("status").textContent = "Selected: copy it by hand.";
  }
}

field("tracker").value = location.origin + location.pathname.split("/pub/")[0];
field("ref").value = cookie("vid");
field("url").value = new URLSearchParams(location.search).get("url") ?? "";
field("form").addEventListener("input", show);
field("form").addEventListener("submit", (event) => event.preventDefault());
field("copy").addEventListener("click", copy);
show();
