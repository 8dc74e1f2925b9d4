// What is spoken, on its way to the server. Audio is kept here until the server has taken it, and
// sent again over the next connection if one is lost.

const WINDOW = 5;       // seconds of audio that may be on their way
const KEPT = 120;       // seconds that are kept while there is no connection
const SILENCE = 6000;   // ms; the server says something every second
const LAST_WORDS = 60000;  // ms for which a page that has stopped tries to deliver the rest
const REFUSED = 4000;   // the server's code; after any other it is worth trying again
const DELAYS = [200, 500, 1000, 2000, 4000];  // ms between attempts to connect

export class Speaker {
  // onmessage(message): what the server says. onstatus(words). onend(words): "" when all is well.
  // ontoomuch(): no more can be kept.
  constructor({onmessage, onstatus, onend, ontoomuch}) {
    Object.assign(this, {onmessage, onstatus, onend, ontoomuch});
    const random = crypto.getRandomValues(new Uint8Array(24));
    this.key = Array.from(random, byte => byte.toString(16).padStart(2, "0")).join("");
    this.seen = "";
    this.taken = 0;  // bytes of audio that the server has taken since the page was opened
    window.addEventListener("offline", () => this.lose());
    window.addEventListener("online", () => this.retry && this.connect());
  }

  get running() { return this.rate !== undefined; }

  start(rate) {
    this.rate = rate;
    this.chunks = [];  // not taken yet
    this.sent = 0;     // how many of them were sent over this connection
    this.attempts = 0;
    this.stopping = this.full = this.reached = false;
    this.watch = setInterval(() => {
      if (this.socket && performance.now() > this.heard + SILENCE) this.lose();
    }, 1000);
    this.connect();
  }

  add(chunk) {
    if (!this.running || this.full) return;
    this.chunks.push(chunk);
    if (this.chunks.length > KEPT * 10) {
      this.full = true;
      this.ontoomuch();
    }
    this.send();
  }

  stop() {
    if (!this.running) return;
    this.stopping = true;
    this.patience = setTimeout(() => this.end(
      "The last words could not be delivered: the server does not answer."), LAST_WORDS);
    this.send();
  }

  connect() {
    clearTimeout(this.retry);
    this.retry = undefined;
    const url = new URL("speak", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = this.socket = new WebSocket(url);
    this.ready = this.toldStop = false;
    this.heard = performance.now();
    socket.onopen = () => {
      const {key, rate, taken, seen} = this;
      socket.send(JSON.stringify({key, rate, taken, seen}));
    };
    socket.onmessage = ({data}) => this.receive(JSON.parse(data));
    socket.onclose = ({code, reason}) => code === REFUSED ? this.end(reason) : this.lose();
  }

  receive(message) {
    this.heard = performance.now();
    if (message.state === undefined) return;  // it only says that it is there
    if (!this.ready) {
      this.ready = this.reached = true;
      this.attempts = this.sent = 0;
    }
    this.seen = message.seen;
    while (this.chunks.length && this.taken + this.chunks[0].byteLength <= message.taken) {
      this.taken += this.chunks.shift().byteLength;
      this.sent = Math.max(0, this.sent - 1);
    }
    this.onmessage(message);
    if (message.state === "idle") this.end(message.error);
    else this.send();
  }

  send() {
    if (!this.ready || !this.running) return;
    while (this.sent < Math.min(this.chunks.length, WINDOW * 10)) {
      this.socket.send(this.chunks[this.sent++]);
    }
    if (this.stopping && !this.toldStop && this.sent === this.chunks.length) {
      this.toldStop = true;
      this.socket.send("stop");
    }
  }

  lose() {
    if (!this.running || !this.socket) return;
    this.disconnect();
    this.onstatus("The connection is lost. Trying again; your words are kept.");
    if (!this.reached && this.attempts === 2) this.explain();
    this.retry = setTimeout(() => this.connect(), DELAYS[Math.min(this.attempts++, DELAYS.length - 1)]);
  }

  // A browser does not say why a WebSocket cannot be opened.
  async explain() {
    const answer = await fetch(document.baseURI, {method: "HEAD", cache: "no-store"}).catch(() => null);
    if (answer?.ok && this.running && !this.reached) {
      this.end("The server answers, but lets no WebSocket through. It needs gunicorn with threads, and a proxy that passes Upgrade on.");
    }
  }

  disconnect() {
    clearTimeout(this.retry);
    this.retry = undefined;
    if (!this.socket) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.socket = null;
    this.ready = false;
  }

  end(words) {
    if (!this.running) return;
    clearInterval(this.watch);
    clearTimeout(this.patience);
    this.disconnect();
    this.rate = undefined;
    this.stopping = false;
    this.onend(words);
  }
}
