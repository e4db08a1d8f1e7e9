//! The report of a run as one HTML file that needs nothing else: no script, no font, no network.

mod pictures;

use super::outcome::Outcome;

/// Rows of a table, at most; the rest is counted.
const ROWS_MAX: usize = 40;

/// The page for a run.
#[must_use]
pub fn html(outcome: &Outcome) -> String {
    let mut page = String::new();
    let title = escaped(&outcome.scenario);
    push(
        &mut page,
        &format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n<main>\n<h1>{title}</h1>\n"
        ),
    );
    if !outcome.question.is_empty() {
        push(&mut page, &format!("<p class=\"question\">{}</p>\n", escaped(&outcome.question)));
    }
    push(&mut page, &verdict(outcome));
    push(&mut page, &cards(outcome));
    push(&mut page, "<h2>What happened</h2>\n");
    push(&mut page, &pictures::timeline(outcome));
    push(&mut page, "<h2>How far behind each region was</h2>\n");
    push(
        &mut page,
        "<p>For how long a region had lacked something that a client elsewhere was told is \
        done; the worst of its nodes.</p>\n",
    );
    push(&mut page, &pictures::staleness(outcome));
    push(&mut page, "<h2>What went over each link</h2>\n");
    push(&mut page, &pictures::links(outcome));
    push(&mut page, &heals(outcome));
    push(&mut page, &details(outcome));
    push(&mut page, "</main></body></html>\n");
    page
}

fn push(page: &mut String, part: &str) {
    page.push_str(part);
}

fn verdict(outcome: &Outcome) -> String {
    let seed = outcome.seed;
    match &outcome.violation {
        None => format!(
            "<p class=\"verdict good\">✔ Every invariant held (seed {seed}, {} steps).</p>\n",
            outcome.steps
        ),
        Some(violation) => {
            let node =
                violation.node.as_deref().map(|node| format!("{node}: ")).unwrap_or_default();
            format!(
                "<p class=\"verdict bad\">✘ {} broken after {} (seed {seed}). {}{}</p>\n",
                escaped(&violation.invariant),
                length(violation.at_ms),
                escaped(&node),
                escaped(&violation.text)
            )
        }
    }
}

fn cards(outcome: &Outcome) -> String {
    let bytes: u64 = outcome.links.iter().map(|link| link.bytes).sum();
    let worst = |series: &super::outcome::Series| {
        series.points.iter().map(|(_, lag)| *lag).max().unwrap_or(0)
    };
    let worst = outcome.staleness.iter().map(worst).max().unwrap_or(0);
    let slowest = outcome.heals.iter().filter_map(|heal| heal.took_ms).max();
    let conflicts: u64 = outcome.conflicts.values().sum();
    let figures = [
        (length(outcome.lasts_ms), "simulated"),
        (outcome.writes.done.to_string(), "writes done"),
        (length(worst), "longest that a region was behind"),
        (slowest.map_or_else(|| "–".to_owned(), length), "slowest heal"),
        (
            outcome.agreed_after_ms.map_or_else(|| "never".to_owned(), length),
            "until all agreed at the end",
        ),
        (size(bytes), "over all links"),
        (conflicts.to_string(), "conflicts left for people"),
    ];
    let mut cards = "<div class=\"cards\">\n".to_owned();
    for (figure, label) in figures {
        push(&mut cards, &format!("<div><b>{figure}</b><span>{label}</span></div>\n"));
    }
    cards + "</div>\n"
}

fn heals(outcome: &Outcome) -> String {
    let mut slowest: Vec<_> = outcome.heals.iter().collect();
    slowest.sort_by_key(|heal| std::cmp::Reverse(heal.took_ms.unwrap_or(u64::MAX)));
    let rows = slowest.iter().map(|heal| {
        let took = heal.took_ms.map_or_else(|| "not before the end".to_owned(), length);
        vec![length(heal.at_ms), heal.what.clone(), took]
    });
    let head = ["at", "mended", "until everybody up held all that was written before"];
    format!("<h2>Heals, the slowest first</h2>\n{}", table(&head, rows.collect()))
}

fn details(outcome: &Outcome) -> String {
    let mut page = String::new();
    let held = outcome
        .invariants
        .iter()
        .map(|(name, held)| vec![name.clone(), if *held { "held" } else { "BROKEN" }.to_owned()]);
    section(&mut page, "Invariants", &["invariant", "verdict"], held.collect());
    let rules = outcome.conflicts.iter().map(|(rule, count)| vec![rule.clone(), count.to_string()]);
    section(
        &mut page,
        "Conflicts by the rule that decided",
        &["rule", "attributes"],
        rules.collect(),
    );
    let faults = outcome.faults.iter().map(|(what, count)| vec![what.clone(), count.to_string()]);
    section(&mut page, "Faults that fired", &["fault", "times"], faults.collect());
    let nodes = outcome.nodes.iter().map(|node| {
        vec![
            node.name.clone(),
            node.region.clone(),
            node.starts.to_string(),
            node.commits.to_string(),
            node.history.clone(),
            node.golden.clone(),
            size(node.in_flight_max),
            node.calls_max.to_string(),
        ]
    });
    let head = [
        "node",
        "region",
        "starts",
        "commits",
        "holds",
        "shows",
        "most in flight",
        "most calls a minute",
    ];
    section(&mut page, "Nodes at the end", &head, nodes.collect());
    page
}

fn section(page: &mut String, title: &str, head: &[&str], rows: Vec<Vec<String>>) {
    if !rows.is_empty() {
        push(page, &format!("<h2>{title}</h2>\n{}", table(head, rows)));
    }
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = "<table><thead><tr>".to_owned();
    for cell in head {
        push(&mut table, &format!("<th>{cell}</th>"));
    }
    push(&mut table, "</tr></thead><tbody>\n");
    let over = rows.len().saturating_sub(ROWS_MAX);
    for row in rows.into_iter().take(ROWS_MAX) {
        push(&mut table, "<tr>");
        for cell in row {
            push(&mut table, &format!("<td>{}</td>", escaped(&cell)));
        }
        push(&mut table, "</tr>\n");
    }
    push(&mut table, "</tbody></table>\n");
    if over > 0 {
        push(&mut table, &format!("<p>and {over} more</p>\n"));
    }
    table
}

/// Somebody else's words as text of a page.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A length of time for people: two units at most.
#[must_use]
pub fn length(ms: u64) -> String {
    const UNITS: [(u64, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")];
    let Some(first) = UNITS.iter().position(|(unit, _)| ms >= *unit) else {
        return "0 ms".to_owned();
    };
    let (unit, name) = UNITS[first];
    let mut told = format!("{} {name}", ms / unit);
    if let Some((next, name)) = UNITS.get(first + 1) {
        let rest = ms % unit / next;
        if rest > 0 {
            told.push_str(&format!(" {rest} {name}"));
        }
    }
    told
}

/// A number of bytes for people.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2733;--soft:#5b6875;--line:#d7dde3;--page:#fff;--card:#f4f6f8}\
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#9aa7b4;--line:#36424e;--page:#141a21;--card:#1d252e}}\
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
main{max-width:1000px;margin:0 auto;padding:24px 20px 60px}\
h1{font-size:1.7rem;margin:.2em 0}h2{font-size:1.15rem;margin:2em 0 .5em}\
.question{color:var(--soft);max-width:46em}\
.verdict{padding:10px 14px;border-radius:8px;font-weight:600}\
.good{background:#1a7f4b22;color:#1a7f4b}.bad{background:#c0392b22;color:#c0392b}\
@media(prefers-color-scheme:dark){.good{color:#5fd39a}.bad{color:#ff8f80}}\
.cards{display:flex;flex-wrap:wrap;gap:10px}.cards div{background:var(--card);border-radius:8px;padding:10px 14px;flex:1 1 120px}\
.cards b{display:block;white-space:nowrap;font-size:1.25rem}.cards span{color:var(--soft);font-size:.85rem}\
svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font:12px system-ui,sans-serif}\
svg .name{fill:var(--ink)}svg .grid{stroke:var(--line);stroke-width:1}\
table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:4px 10px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}\
th{color:var(--soft);font-weight:600}td{font-variant-numeric:tabular-nums;overflow-wrap:anywhere}\
.key{display:flex;flex-wrap:wrap;gap:4px 18px;color:var(--soft);font-size:.85rem}.key i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;vertical-align:-1px}";
