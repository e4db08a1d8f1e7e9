// Two nodes of Concord in two regions. The second one calls the first.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { ask } from "./http.mjs";
import { udpLine } from "./proxy.mjs";
import { freePort } from "./stage.mjs";

const MAPPING = path.join(import.meta.dirname, "mapping.toml");
const PATIENCE_S = 600;
const PATHS = {
  paymentTerms: "company/1000/payment_terms",
  website: "general/website",
  language: "general/language",
};

// Concord with its stores on one of its engines.
export const on = (engine) => ({
  name: `Concord on ${engine}`,
  version,
  open: (stage, program) => open(stage, program, engine),
});

function version(program) {
  return command(program, ["--version"]).trim().split(" ").at(-1);
}

// Gives a command that must succeed.
function command(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (!error && status === 0) return stdout;
  throw new Error(`concord ${args.join(" ")}: ${error?.message ?? (stderr || stdout)}`);
}

async function open(stage, program, engine) {
  const run = (...args) => command(program, args);
  const [port, portLine] = [await freePort("udp"), await freePort("udp")];
  const network = stage.path("network");
  run("network", "create", "compare", "--dir", network);
  // The first node is known under the address of the line; the second one is never called.
  const nodes = [
    { name: "a", region: "EMEA", port, address: `127.0.0.1:${portLine}` },
    { name: "b", region: "AMER", port: await freePort("udp") },
  ];
  const ends = [];
  for (const node of nodes) ends.push(await create(stage, run, network, engine, node));
  for (const end of ends) run("network", "join", "--dir", end.dir, path.join(network, "roster"));
  for (const end of ends) await start(stage, program, end);
  return new Concord(stage, udpLine(portLine, port), ends, run);
}

async function create(stage, run, network, engine, { name, region, port, address }) {
  const [dir, http] = [stage.path(name), `127.0.0.1:${await freePort()}`];
  const who = ["--name", name, "--region", region];
  const where = ["--listen", `127.0.0.1:${port}`, "--http", http, "--advertise", address ?? "none"];
  const { node } = JSON.parse(run("--json", "init", "--engine", engine, "--dir", dir, ...who, ...where));
  const known = address ? ["--address", address] : [];
  run("network", "admit", "--dir", network, "--node", node, ...who, ...known);
  const secret = fs.readFileSync(path.join(dir, "admin.token"), "utf8").trim();
  return { name, dir, url: `http://${http}`, headers: { authorization: `Bearer ${secret}` } };
}

async function start(stage, program, end) {
  const args = ["run", "--dir", end.dir, "--until-stdin-closes"];
  end.pid = stage.start(end.name, program, args).pid;
  const health = () => ask("GET", `${end.url}/v1/health`).catch(() => false);
  await stage.until(`node ${end.name} answers`, 60, health);
}

class Concord {
  constructor(stage, line, ends, run) {
    Object.assign(this, { stage, line, ends, run });
  }

  get receiver() {
    return this.ends[1].pid;
  }

  #get(at, resource) {
    const { url, headers } = this.ends[at];
    return ask("GET", `${url}/v1/${resource}`, undefined, headers);
  }

  async load(customers) {
    const file = this.stage.path("customers.jsonl");
    fs.writeFileSync(file, customers.map((customer) => `${JSON.stringify(customer)}\n`).join(""));
    this.run("import", file, "--mapping", MAPPING, "--dir", this.ends[0].dir);
  }

  #states() {
    return Promise.all([this.#get(0, "status"), this.#get(1, "status")]);
  }

  // Done when both nodes have heard the other's digests on this link, and their own digests are equal. A node
  // renews its status ten times a second, too seldom for a clock. So the time is that of the last packet
  // until then: the acknowledgement that commits are durable, or of the digests.
  async meet() {
    const heard = ({ connected, heard_ms, since_ms }) => connected && heard_ms >= since_ms;
    await this.stage.until("the nodes are in step", PATIENCE_S, async () => {
      const [a, b] = await this.#states();
      const same = a.history_digest === b.history_digest && a.golden_digest === b.golden_digest;
      return same && [a, b].every(({ peers }) => peers.length === 1 && peers.every(heard));
    });
    return this.line.lastAt;
  }

  async apart() {
    const isDown = ({ peers }) => peers.every((peer) => !peer.connected);
    const areDown = async () => (await this.#states()).every(isDown);
    await this.stage.until("the nodes notice the cut", 60, areDown);
  }

  async count(at) {
    return (await this.#get(at, "status")).records;
  }

  async #find(at, customer) {
    const { items } = await this.#get(at, `customers?number=${customer.number}`);
    if (items.length !== 1) throw new Error(`${items.length} customers have number ${customer.number}`);
    return items[0].id;
  }

  async change(at, customer, { paymentTerms, website, language }) {
    const tree = {};
    if (paymentTerms) tree.company = { 1000: { payment_terms: paymentTerms } };
    if (website || language) tree.general = { website, language };
    const { url, headers } = this.ends[at];
    const kind = { "content-type": "application/merge-patch+json" };
    const id = await this.#find(at, customer);
    await ask("PATCH", `${url}/v1/customers/${id}`, tree, { ...headers, ...kind });
  }

  async read(at, customer) {
    const id = await this.#find(at, customer);
    const { customer: tree } = await this.#get(at, `customers/${id}`);
    const { claims } = await this.#get(at, `customers/${id}?view=claims`);
    const { items } = await this.#get(at, "conflicts");
    const conflict = items.find((item) => item.id === id)?.attributes[PATHS.paymentTerms];
    const listed = conflict ? `, listed by \`concord conflicts\` (rule \`${conflict.rule}\`)` : "";
    const field = ({ path }) => Object.keys(PATHS).find((field) => PATHS[field] === path);
    return {
      shown: {
        paymentTerms: tree.company[1000].payment_terms,
        website: tree.general.website,
        language: tree.general.language,
      },
      kept: claims.filter(field).map((claim) => ({ [field(claim)]: claim.value })),
      where: `a claim beside the record${listed}`,
    };
  }
}
