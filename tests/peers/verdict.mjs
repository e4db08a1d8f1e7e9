// What became of concurrent edits, in a sentence that says what was read at both ends.

const ENDS = ["first", "second"];

// `edits`: what each end wrote; both wrote `paymentTerms`. `ends`: what each end shows afterwards, what
// it keeps behind it, and where.
export function verdict(edits, ends) {
  const fields = [...new Set(edits.flatMap(Object.keys))];
  const differing = fields.filter((field) => ends[0].shown[field] !== ends[1].shown[field]);
  if (differing.length > 0) return `The ends differ in ${differing.join(", ")}.`;
  return `${terms(edits, ends)} ${others(edits, ends)}`;
}

function terms(edits, ends) {
  const shown = ends[0].shown.paymentTerms;
  const winner = edits.findIndex((edit) => edit.paymentTerms === shown);
  if (winner < 0) return `Both ends show the payment term ${shown}, which neither wrote.`;
  const lost = fate("paymentTerms", edits[1 - winner].paymentTerms, ends);
  return `Both ends show the payment term of the ${ENDS[winner]} end; the other is ${lost}.`;
}

// The fields that only one end wrote: nobody disagreed about them.
function others(edits, ends) {
  const alone = edits.flatMap((edit, at) => {
    const rest = Object.entries(edit).filter(([field]) => field !== "paymentTerms");
    return rest.map(([field, value]) => ({ at, field, value }));
  });
  const missing = alone.filter(({ field, value }) => ends[0].shown[field] !== value);
  if (missing.length === 0) return "Both edits of other fields are shown.";
  const tell = ({ at, field, value }) =>
    `The ${field}, which only the ${ENDS[at]} end wrote, is not shown: it is ${fate(field, value, ends)}.`;
  return missing.map(tell).join(" ");
}

function fate(field, value, ends) {
  const keepers = ends.filter((end) => end.kept.some((kept) => kept[field] === value));
  if (keepers.length === 0) return "gone";
  return `kept as ${keepers[0].where}${keepers.length === 2 ? "" : ", at one end only"}`;
}
