// The line between the two ends: it passes bytes on, counts them in both directions, and can be cut.
// What counts is payload: of TCP the stream, of UDP the packets without the headers of IP and UDP.

import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { performance } from "node:perf_hooks";
import { sleep } from "./stage.mjs";

const HOST = "127.0.0.1";
// No byte for so long means that the ends have nothing more to say. Concord tells its digests every two
// seconds from both ends, so a longer silence may never come.
const SILENCE_MS = 800;

class Line {
  up = false;
  bytes = 0;
  firstAt = 0;
  lastAt = 0;

  count(bytes) {
    this.lastAt = performance.now();
    this.firstAt ||= this.lastAt;
    this.bytes += bytes;
  }

  // Lets bytes through, and counts from zero.
  async heal() {
    Object.assign(this, { up: true, bytes: 0, firstAt: 0, lastAt: 0 });
    await this.connect();
  }

  async cut() {
    this.up = false;
    await this.disconnect();
  }

  silent() {
    return this.firstAt > 0 && performance.now() - this.lastAt > SILENCE_MS;
  }

  async quiet() {
    while (!this.silent()) await sleep(20);
  }
}

// A line for HTTP and WebSockets. While it is cut, connections are refused.
class TcpLine extends Line {
  #sockets = new Set();
  #server;

  constructor(port, target) {
    super();
    Object.assign(this, { port, target });
  }

  async connect() {
    this.#server = net.createServer((socket) => this.#carry(socket));
    this.#server.listen(this.port, HOST);
    await once(this.#server, "listening");
  }

  async disconnect() {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
  }

  async close() {
    await this.cut();
  }

  #carry(near) {
    const far = net.connect({ port: this.target, host: HOST, noDelay: true });
    near.setNoDelay(true);
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#sockets.add(from);
      from.on("data", (data) => this.count(data.length));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}

// A line for QUIC. While it is cut, packets are dropped.
class UdpLine extends Line {
  #near;
  #far = new Map();

  constructor(port, target) {
    super();
    Object.assign(this, { port, target });
  }

  async connect() {
    if (this.#near) return;
    this.#near = socket();
    this.#near.on("message", (data, from) => this.#pass(data, () => this.#farFor(from).send(data)));
    this.#near.bind(this.port, HOST);
    await once(this.#near, "listening");
  }

  async disconnect() {}

  close() {
    this.#near?.close();
    for (const far of this.#far.values()) far.close();
  }

  #pass(data, send) {
    if (!this.up) return;
    this.count(data.length);
    send();
  }

  // Every caller gets a socket of its own towards the other end, by which answers find back.
  #farFor(caller) {
    let far = this.#far.get(caller.port);
    if (!far) {
      far = socket();
      far.connect(this.target, HOST);
      const answer = (data) => this.#near.send(data, caller.port, caller.address);
      far.on("message", (data) => this.#pass(data, () => answer(data)));
      // What is sent before the socket is connected is kept here; node throws it away otherwise.
      far.send = sendWhenConnected(far);
      this.#far.set(caller.port, far);
    }
    return far;
  }
}

// A socket that holds a burst: a packet lost here would be one that the program has to send again.
function socket() {
  const made = dgram.createSocket({ type: "udp4", recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
  made.on("error", () => {});
  return made;
}

function sendWhenConnected(far) {
  const send = far.send.bind(far);
  let waiting = [];
  far.once("connect", () => {
    waiting.forEach((data) => send(data));
    waiting = undefined;
  });
  return (data) => (waiting ? waiting.push(data) : send(data));
}

export const tcpLine = (port, target) => new TcpLine(port, target);
export const udpLine = (port, target) => new UdpLine(port, target);
