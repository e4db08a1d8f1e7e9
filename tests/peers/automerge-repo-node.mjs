// One process with an automerge-repo: `node automerge-repo-node.mjs DIR serve|call PORT`.
// It is told what to do by messages of the parent process, and ends with it.

import { ImmutableString, getConflicts, getHeads } from "@automerge/automerge";
import { Repo } from "@automerge/automerge-repo";
import { WebSocketClientAdapter, WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket";
import { NodeFSStorageAdapter } from "@automerge/automerge-repo-storage-nodefs";
import { createHash } from "node:crypto";
import { WebSocketServer } from "ws";

const [dir, role, port] = process.argv.slice(2);
const network =
  role === "serve"
    ? new WebSocketServerAdapter(new WebSocketServer({ host: "127.0.0.1", port: Number(port) }))
    : new WebSocketClientAdapter(`ws://127.0.0.1:${port}`);
const repo = new Repo({ network: [network], storage: new NodeFSStorageAdapter(dir), peerId: role });

const mapped = (object, map) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));

// Texts as whole values: nobody edits within a tax id, and the text of an editor needs a third more bytes.
const stored = (object) =>
  mapped(object, (value) => (typeof value === "string" ? new ImmutableString(value) : stored(value)));
const plain = (value) => value.val ?? value;

const held = () => Object.values(repo.handles).filter((handle) => handle.isReady());

const orders = {
  async load(customers) {
    const ids = customers.map((customer) => repo.create(stored(customer)).documentId);
    await repo.flush(ids);
    return ids;
  },

  state: () => ({ documents: held().length, peers: repo.peers.length }),

  // The versions of all documents in one text.
  digest() {
    const hash = createHash("sha256");
    const versions = held().map((handle) => `${handle.documentId} ${getHeads(handle.doc()).sort()}`);
    versions.sort().forEach((version) => hash.update(version));
    return hash.digest("hex");
  },

  async change(id, fields) {
    const handle = await repo.find(id);
    handle.change((doc) => Object.assign(doc, stored(fields)));
  },

  async read(id) {
    const doc = (await repo.find(id)).doc();
    const others = Object.keys(doc).flatMap((field) => {
      const values = Object.values(getConflicts(doc, field) ?? {}).map(plain);
      return values.filter((value) => value !== plain(doc[field])).map((value) => ({ [field]: value }));
    });
    return { shown: mapped(doc, plain), kept: others };
  },
};

process.on("message", async ({ id, order, args }) => {
  try {
    process.send({ id, answer: await orders[order](...args) });
  } catch (error) {
    process.send({ id, error: String(error?.stack ?? error) });
  }
});
process.on("disconnect", () => process.exit());
