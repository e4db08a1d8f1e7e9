// Two processes of PouchDB Server. The second one replicates from the first and back, by the line.

import fs from "node:fs";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { ask } from "./http.mjs";
import { tcpLine } from "./proxy.mjs";
import { freePort } from "./stage.mjs";

const PROGRAM = path.join(import.meta.dirname, "node_modules/pouchdb-server/bin/pouchdb-server");
const CHUNK = 500;
const PATIENCE_S = 1_800;

export const name = "PouchDB Server";

export function version() {
  const file = path.join(import.meta.dirname, "node_modules/pouchdb-server/package.json");
  return JSON.parse(fs.readFileSync(file, "utf8")).version;
}

export async function open(stage) {
  const [portA, portB, portLine] = [await freePort(), await freePort(), await freePort()];
  const [a, b] = [await start(stage, "a", portA), await start(stage, "b", portB)];
  return new PouchDb(stage, tcpLine(portLine, portA), [a, b]);
}

async function start(stage, name, port) {
  const dir = stage.path(name);
  fs.mkdirSync(dir);
  const args = [PROGRAM, "--port", port, "--host", "127.0.0.1", "--dir", dir, "--no-stdout-logs"];
  const child = stage.start(name, process.execPath, args.map(String), { cwd: dir });
  const url = `http://127.0.0.1:${port}`;
  await stage.until(`PouchDB Server ${name} answers`, 60, () => ask("GET", url).catch(() => false), 100);
  await ask("PUT", `${url}/customers`);
  return { url, pid: child.pid };
}

class PouchDb {
  constructor(stage, line, ends) {
    Object.assign(this, { stage, line, ends });
  }

  get receiver() {
    return this.ends[1].pid;
  }

  async load(customers) {
    for (let at = 0; at < customers.length; at += CHUNK) {
      const docs = customers.slice(at, at + CHUNK).map((one) => ({ _id: one.number, ...one }));
      const answers = await ask("POST", `${this.ends[0].url}/customers/_bulk_docs`, { docs });
      const refused = answers.find((answer) => answer.error);
      if (refused) throw new Error(`PouchDB Server refused a customer: ${JSON.stringify(refused)}`);
    }
  }

  // Both directions, as `PouchDB.sync` does. Returns when it was done.
  async meet() {
    const remote = `http://127.0.0.1:${this.line.port}/customers`;
    await this.#replicate(remote, "customers");
    await this.#replicate("customers", remote);
    const done = performance.now();
    const [a, b] = await Promise.all(this.ends.map((end) => this.#revisions(end)));
    if (a !== b) throw new Error("PouchDB Server: the two ends differ after replication");
    return done;
  }

  async #replicate(source, target) {
    const asked = ask("POST", `${this.ends[1].url}/_replicate`, { source, target });
    const answer = await this.stage.within("PouchDB Server replicates", PATIENCE_S, asked);
    if (!answer.ok) throw new Error(`PouchDB Server does not replicate: ${JSON.stringify(answer)}`);
  }

  async #revisions(end) {
    const { rows } = await ask("GET", `${end.url}/customers/_all_docs`);
    return rows.map((row) => `${row.id} ${row.value.rev}`).join("\n");
  }

  // Nothing runs between two replications.
  async apart() {}

  async count(at) {
    return (await ask("GET", `${this.ends[at].url}/customers`)).doc_count;
  }

  async change(at, customer, fields) {
    const url = `${this.ends[at].url}/customers/${customer.number}`;
    await ask("PUT", url, { ...(await ask("GET", url)), ...fields });
  }

  // What an end shows of a customer, and what of it stands behind.
  async read(at, customer) {
    const url = `${this.ends[at].url}/customers/${customer.number}`;
    const { _conflicts: hidden = [], ...shown } = await ask("GET", `${url}?conflicts=true`);
    const kept = await Promise.all(hidden.map((rev) => ask("GET", `${url}?rev=${rev}`)));
    return { shown, kept, where: "a losing revision listed in `_conflicts`" };
  }
}
