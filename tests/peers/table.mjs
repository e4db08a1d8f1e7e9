// The table of a comparison, for people.

import os from "node:os";
import { FEW } from "./story.mjs";

const whole = (number) => Math.round(number).toLocaleString("en-US");

function seconds(value) {
  return value < 1 ? `${whole(value * 1_000)} ms` : `${value.toFixed(value < 10 ? 1 : 0)} s`;
}

function bytes(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} MB`;
  return value >= 1e4 ? `${whole(value / 1e3)} kB` : `${whole(value)} B`;
}

const met = (meeting) => `${seconds(meeting.seconds)}, ${bytes(meeting.bytes)}`;

function first({ first, customers }) {
  const [time, size] = [first.seconds / customers, first.bytes / customers];
  return `${met(first)}; a customer: ${(time * 1_000).toFixed(2)} ms, ${whole(size)} B`;
}

// Where a system had fewer customers than the others, what it says is to be read for each of them.
function again(meeting, { customers, asked }) {
  return customers < asked ? `${met(meeting)} (${whole(meeting.bytes / customers)} B a customer)` : met(meeting);
}

const ROWS = [
  ["customers", ({ customers, asked }) => whole(customers) + (customers < asked ? ` of ${whole(asked)}` : "")],
  ["first sync to an empty peer", first],
  ["nothing changed", (result) => again(result.nothing, result)],
  [`${FEW} customers changed`, (result) => again(result.few, result)],
  [`${FEW} changed in the reverse direction`, (result) => again(result.reverse, result)],
  ["memory of the receiver after the first sync", (result) => bytes(result.memory)],
  ["one payment term changed at both ends apart, and another field at each", (result) => result.concurrent],
];

// Where, when and how.
export function circumstances(customers) {
  const [cpu] = os.cpus();
  const size = customers.reduce((sum, one) => sum + JSON.stringify(one).length, 0) / customers.length;
  const processor = cpu?.model.trim() ?? "unknown processor";
  const machine = `${os.cpus().length} × ${processor}, ${os.type()} ${os.arch()}`;
  const memory = `${whole(os.totalmem() / 2 ** 30)} GiB`;
  const load = os.loadavg()[0].toFixed(1);
  const date = new Date().toISOString().slice(0, 10);
  const command = ["tests/peers/run", ...process.argv.slice(2)].join(" ");
  return [
    `${date}, ${machine}, ${memory}, node ${process.version}, load ${load} before the start.`,
    `${whole(size)} B of JSON a customer. \`${command}\``,
  ].join("\n");
}

export function table(results) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const head = ["", ...results.map((result) => `${result.system} ${result.version}`)];
  const rows = ROWS.map(([name, cell]) => line([name, ...results.map(cell)]));
  return [line(head), line(head.map(() => "---")), ...rows].join("\n");
}
