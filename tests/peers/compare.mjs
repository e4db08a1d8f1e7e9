// Compares Concord with PouchDB Server and automerge-repo on this machine. See README.md.

import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import * as automergeRepo from "./automerge-repo.mjs";
import * as concord from "./concord.mjs";
import { customers } from "./customers.mjs";
import * as pouchdb from "./pouchdb.mjs";
import { tell } from "./story.mjs";
import { circumstances, table } from "./table.mjs";

const SYSTEMS = {
  pouchdb,
  "automerge-repo": automergeRepo,
  concord: concord.on("sled"),
  "concord-redb": concord.on("redb"),
};
const LEAST = 21;

const USAGE = `Usage: tests/peers/run [OPTIONS]

  --customers N      how many customers there are [default: 10000]
  --automerge-repo N at most so many customers for automerge-repo [default: 2000]
  --concord PATH     the program [default: target/release/concord]
  --only NAMES       some of ${Object.keys(SYSTEMS).join(",")}
  --json             one object a line for each system, instead of the table
  --help             this text`;

class UsageError extends Error {}

function number(text, option) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= LEAST) return value;
  throw new UsageError(`--${option} takes a whole number from ${LEAST} on, not ${text}`);
}

function options() {
  const text = (preset) => ({ type: "string", default: preset });
  const { values } = parseArgs({
    options: {
      customers: text("10000"),
      "automerge-repo": text("2000"),
      concord: text(path.join(import.meta.dirname, "../../target/release/concord")),
      only: text(Object.keys(SYSTEMS).join(",")),
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const names = values.only.split(",");
  const unknown = names.filter((name) => !(name in SYSTEMS));
  if (unknown.length > 0) throw new UsageError(`--only does not know ${unknown.join(", ")}`);
  const count = number(values.customers, "customers");
  const program = path.resolve(values.concord);
  const fewer = Math.min(count, number(values["automerge-repo"], "automerge-repo"));
  return { names, count, fewer, program, json: values.json, help: values.help };
}

async function compare({ names, count, fewer, program, json }) {
  if (names.some((name) => name.startsWith("concord")) && !fs.existsSync(program)) {
    throw new UsageError(`there is no ${program}: cargo build --release makes it, or give --concord PATH`);
  }
  const all = customers(count);
  const where = circumstances(all);
  const results = [];
  for (const name of names) {
    const own = name === "automerge-repo" ? all.slice(0, fewer) : all;
    const measured = await tell(SYSTEMS[name], own, program, (text) => console.error(text));
    const { name: system, version } = SYSTEMS[name];
    const result = { system, version: version(program), asked: count, ...measured };
    if (json) console.log(JSON.stringify(result));
    results.push(result);
  }
  if (!json) console.log(`${where}\n\n${table(results)}`);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));
try {
  const asked = options();
  if (asked.help) console.log(USAGE);
  else await compare(asked);
  process.exit(0);
} catch (error) {
  const misused = error instanceof UsageError || error.code?.startsWith("ERR_PARSE_ARGS");
  console.error(misused ? `error: ${error.message}\n\n${USAGE}` : `error: ${error.stack}`);
  process.exit(misused ? 2 : 1);
}
