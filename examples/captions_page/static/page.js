import {Microphone, whyNoMicrophone} from "./microphone.js";
import {Speaker} from "./speaker.js";

const $ = id => document.getElementById(id);
const main = $("page");
const talk = new URLSearchParams(location.search).get("talk");  // to read along

const STATES = {
  starting: "Connecting to the speech service …",
  listening: talk ? "Live" : "Listening",
  recovering: "The speech service was lost. Connecting again; no word is lost.",
  finishing: "Writing down the last words …",
  idle: talk ? "Nobody is speaking at the moment." : "Ready",
};

const LOST = "The connection is lost. Trying again …";

// -- what is seen ----------------------------------------------------------------------------------

function show(message) {
  const follows = isAtEnd();
  for (const line of message.final) $("said").append(paragraph(line));
  $("open").replaceChildren(...message.open.map(paragraph));
  $("copy-text").disabled = !$("said").childElementCount;
  $("empty").hidden = Boolean($("said").childElementCount || message.open.length);
  setState(message.state);
  if (follows) main.scrollTop = main.scrollHeight;
  offerNewest();
}

function isAtEnd() { return main.scrollHeight - main.scrollTop - main.clientHeight < 80; }

function offerNewest() { $("newest").hidden = isAtEnd(); }

function paragraph(line) {
  const element = document.createElement("p");
  element.append(line.text.slice(0, line.settled));
  if (line.settled < line.text.length) {
    const guess = document.createElement("span");
    guess.className = "guess";
    guess.append(line.text.slice(line.settled));
    element.append(guess);
  }
  return element;
}

let slow;

function setState(state, words = STATES[state]) {
  document.body.dataset.state = state;
  if ($("status").textContent !== words) $("status").textContent = words;
  clearTimeout(slow);
  if (state === "starting") {
    slow = setTimeout(() => setState(state, "The speech service may be busy. Still trying …"), 6000);
  }
}

function wrong(words) { $("wrong").textContent = words; }

main.onscroll = offerNewest;
$("newest").onclick = () => main.scrollTo({top: main.scrollHeight, behavior: "smooth"});

let kept = {};  // some browsers refuse to keep anything
try { kept = localStorage; } catch {}
function resize(factor) {
  const size = Math.min(3, Math.max(0.6, (Number(kept.textSize) || 1) * factor));
  kept.textSize = size;
  document.body.style.setProperty("--size", size);
}
resize(1);
$("smaller").onclick = () => resize(1 / 1.2);
$("larger").onclick = () => resize(1.2);

async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Cannot copy here";
  }
  setTimeout(() => { button.textContent = label; }, 2000);
}
$("copy-text").onclick = () => copy($("copy-text"),
  Array.from($("said").children, line => line.textContent).join("\n"));
$("copy-link").onclick = () => copy($("copy-link"), $("link").href);

// -- reading along -----------------------------------------------------------------------------------

const SILENCE = 40000;  // ms; the server says something every 15 seconds

function readAlong() {
  document.body.classList.add("reading");
  $("controls").remove();
  $("empty").textContent = "What is spoken appears here.";
  setState("starting", "Connecting …");
  let events, heard, seen = "";

  function connect() {
    events?.close();
    heard = performance.now();
    events = new EventSource(`read?${new URLSearchParams({talk, seen})}`);
    events.onmessage = ({data}) => {
      heard = performance.now();
      const message = JSON.parse(data);
      if (message.state === undefined) return;  // it only says that it is there
      seen = message.seen;
      show(message);
    };
    events.addEventListener("over", ({data}) => setState("idle", JSON.parse(data)));
    events.onerror = () => {
      if (document.body.dataset.state !== "idle") setState("recovering", LOST);
    };
  }

  connect();
  window.addEventListener("online", connect);
  setInterval(() => {  // a browser gives up after an error of a proxy, and waits for a network that is gone
    if (events.readyState === EventSource.CLOSED || performance.now() > heard + SILENCE) connect();
  }, 3000);
}

// -- speaking ----------------------------------------------------------------------------------------

let microphone, awake;

const speaker = new Speaker({
  onmessage(message) {
    if (!talk && message.talk && !$("link").href) {
      $("link").href = `?talk=${message.talk}`;
      $("share").hidden = false;
    }
    show(message);
  },
  onstatus(words) { setState("recovering", words); },
  ontoomuch() { lost("The connection has been gone for two minutes, so recording has stopped. What was said is delivered if it comes back within a minute."); },
  async onend(words) {
    if (words) wrong(words);  // else what ended the recording stays to be read
    await silence();
    setState("idle");
    label();
  },
});

async function silence() {
  const closing = microphone;
  microphone = undefined;
  $("speak").style.removeProperty("--level");
  awake?.release().catch(() => {});
  awake = undefined;
  await closing?.close();
}

async function lost(words) {
  wrong(words);
  await silence();
  speaker.stop();
  label();
}

function label() {
  $("speak-label").textContent = microphone ? "Stop" : "Start speaking";
  setBusy(speaker.running && !microphone);
}

// Not `disabled`, which would take the keyboard's focus away.
function setBusy(busy) { $("speak").setAttribute("aria-disabled", busy); }

async function keepAwake() {  // a telephone whose screen goes dark takes the microphone away
  if (!microphone || document.visibilityState !== "visible") return;
  awake = await navigator.wakeLock?.request("screen").catch(() => undefined);
  if (!microphone) awake?.release();
}

async function press() {
  if ($("speak").getAttribute("aria-disabled") === "true") return;
  setBusy(true);
  if (microphone) {
    await silence();
    speaker.stop();
    label();
    return;
  }
  wrong("");
  try {
    microphone = await Microphone.open((chunk, peak) => {
      $("speak").style.setProperty("--level", Math.sqrt(peak).toFixed(2));
      speaker.add(chunk);
    }, lost);
    speaker.start(microphone.rate);
    keepAwake();
  } catch (error) {
    wrong(error.message);
  }
  label();
}

function speakHere() {
  $("empty").textContent = "Press the button and speak. Your words appear here.";
  setState("idle");
  wrong(whyNoMicrophone());
  $("speak").onclick = press;
  document.addEventListener("visibilitychange", keepAwake);
}

if (talk) readAlong(); else speakHere();
