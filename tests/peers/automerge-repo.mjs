// Two processes with automerge-repo, one document per customer. The second one calls the first.

import fs from "node:fs";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { tcpLine } from "./proxy.mjs";
import { freePort } from "./stage.mjs";

const NODE = path.join(import.meta.dirname, "automerge-repo-node.mjs");
const PATIENCE_S = 1_800;
const CHUNK = 500;

export const name = "automerge-repo";

export function version() {
  const file = path.join(import.meta.dirname, "node_modules/@automerge/automerge-repo/package.json");
  return JSON.parse(fs.readFileSync(file, "utf8")).version;
}

export async function open(stage) {
  const [port, portLine] = [await freePort(), await freePort()];
  const ends = [
    new End(stage.fork("a", NODE, [stage.path("a"), "serve", String(port)])),
    new End(stage.fork("b", NODE, [stage.path("b"), "call", String(portLine)])),
  ];
  const ready = () => Promise.all(ends.map((end) => end.ask("state")));
  await stage.until("the repositories start", 60, ready);
  return new AutomergeRepo(stage, tcpLine(portLine, port), ends);
}

// A process that answers messages.
class End {
  #waiting = new Map();
  #last = 0;

  constructor(child) {
    this.pid = child.pid;
    this.child = child;
    child.on("message", ({ id, answer, error }) => {
      const { done, fail } = this.#waiting.get(id);
      this.#waiting.delete(id);
      error ? fail(new Error(error)) : done(answer);
    });
    child.on("exit", () => {
      for (const { fail } of this.#waiting.values()) fail(new Error(`automerge-repo ${child.label} ended`));
    });
  }

  ask(order, ...args) {
    const id = ++this.#last;
    return new Promise((done, fail) => {
      this.#waiting.set(id, { done, fail });
      this.child.send({ id, order, args });
    });
  }
}

class AutomergeRepo {
  constructor(stage, line, ends) {
    Object.assign(this, { stage, line, ends, ids: new Map() });
  }

  get receiver() {
    return this.ends[1].pid;
  }

  async load(customers) {
    for (let at = 0; at < customers.length; at += CHUNK) {
      const some = customers.slice(at, at + CHUNK);
      const ids = await this.ends[0].ask("load", some);
      some.forEach((customer, at) => this.ids.set(customer.number, ids[at]));
    }
  }

  // The library does not say when it has compared everything. So it is done when the second end has all
  // documents, nothing is on the line any more, and both ends have the same versions.
  async meet() {
    let complete = 0;
    await this.stage.until("automerge-repo has all documents", PATIENCE_S, async () => {
      if ((await this.count(1)) < this.ids.size) return false;
      complete ||= performance.now();
      return this.line.silent() && this.#same();
    }, 100);
    return Math.max(complete > this.line.lastAt ? complete : 0, this.line.lastAt);
  }

  // Both processes have answered and sent nothing before it: neither was busy with a message.
  async #same() {
    const { bytes } = this.line;
    const [a, b] = await Promise.all(this.ends.map((end) => end.ask("digest")));
    return a === b && bytes === this.line.bytes;
  }

  async apart() {
    await this.stage.until("automerge-repo notices the cut", 60, async () => {
      const states = await Promise.all(this.ends.map((end) => end.ask("state")));
      return states.every((state) => state.peers === 0);
    });
  }

  async count(at) {
    return (await this.ends[at].ask("state")).documents;
  }

  async change(at, customer, fields) {
    await this.ends[at].ask("change", this.ids.get(customer.number), fields);
  }

  async read(at, customer) {
    const { shown, kept } = await this.ends[at].ask("read", this.ids.get(customer.number));
    return { shown, kept, where: "`getConflicts` of the document" };
  }
}
