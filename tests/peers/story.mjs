// What every system goes through, in the same order, and what is measured on the way.

import { Stage, resident } from "./stage.mjs";
import { verdict } from "./verdict.mjs";

export const FEW = 10;
// Both ends write another payment term, and each end one more field.
const EDITS = [
  { paymentTerms: "NT60", website: "https://edited-at-the-first-end.example/" },
  { paymentTerms: "NT90", language: "es" },
];

// Tells the story to one system; gives what was measured.
export async function tell(system, customers, program, say) {
  const stage = new Stage(system.name.split(" ")[0].toLowerCase());
  let pair;
  try {
    say(`${system.name}: takes ${customers.length} customers`);
    pair = await system.open(stage, program);
    await pair.load(customers);
    return { customers: customers.length, ...(await measure(pair, customers, say)) };
  } finally {
    await pair?.line.close();
    await stage.close();
  }
}

async function measure(pair, customers, say) {
  say("  first sync");
  const first = await meet(pair);
  await mustHold(pair, customers.length);
  const memory = resident(pair.receiver);
  say("  nothing changed");
  await part(pair);
  const nothing = await meet(pair);
  say("  few changed");
  const few = await changed(pair, 0, customers.slice(0, FEW));
  say("  reverse direction");
  const reverse = await changed(pair, 1, customers.slice(FEW, 2 * FEW));
  say("  concurrent edits");
  const concurrent = await edited(pair, customers[2 * FEW]);
  return { first, nothing, few, reverse, memory, concurrent };
}

// Heals the line. The time is from the first byte on it until both ends are known to hold the same; the
// bytes are all until nothing more is said.
async function meet(pair) {
  await pair.line.heal();
  const done = await pair.meet();
  const seconds = (done - pair.line.firstAt) / 1_000;
  await pair.stage.within("the line becomes silent", 60, pair.line.quiet());
  return { seconds, bytes: pair.line.bytes };
}

async function part(pair) {
  await pair.line.cut();
  await pair.apart();
}

async function mustHold(pair, count) {
  const held = await Promise.all([pair.count(0), pair.count(1)]);
  if (held.some((number) => number !== count)) throw new Error(`the ends hold ${held}, not ${count}`);
}

async function changed(pair, at, customers) {
  await part(pair);
  const change = (customer) => ({ website: `https://changed.${new URL(customer.website).host}/` });
  for (const customer of customers) await pair.change(at, customer, change(customer));
  const met = await meet(pair);
  for (const customer of customers) await mustShow(pair, 1 - at, customer, change(customer));
  return met;
}

async function mustShow(pair, at, customer, { website }) {
  const { shown } = await pair.read(at, customer);
  if (shown.website === website) return;
  throw new Error(`the change of customer ${customer.number} did not arrive: ${shown.website}`);
}

async function edited(pair, customer) {
  await part(pair);
  for (const at of [0, 1]) await pair.change(at, customer, EDITS[at]);
  await meet(pair);
  const ends = await Promise.all([pair.read(0, customer), pair.read(1, customer)]);
  return verdict(EDITS, ends);
}
