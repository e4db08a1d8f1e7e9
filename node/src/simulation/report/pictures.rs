//! The pictures of a report, as SVG: what happened when, how far behind each region was, what went
//! over each link.

use std::collections::BTreeMap;

use super::super::outcome::{Moment, Outcome};
use super::{escaped, length, size};

/// The width of every picture, in its own units.
const WIDTH: u64 = 960;
/// The place for names on the left.
const NAMES: u64 = 150;
/// The right edge of what is drawn.
const RIGHT: u64 = WIDTH - 16;
/// Lanes and bars of one picture, at most.
const LANES_MAX: usize = 24;

/// Colours that people with any colour vision tell apart (Okabe and Ito, 2008).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f"];

fn colour(at: usize) -> &'static str {
    COLOURS[at % COLOURS.len()]
}

/// Where a time stands.
fn x(at_ms: u64, end_ms: u64) -> u64 {
    NAMES + at_ms.min(end_ms) * (RIGHT - NAMES) / end_ms.max(1)
}

/// When the last thing of a run happened.
fn end_ms(outcome: &Outcome) -> u64 {
    let sampled = outcome.staleness.iter().filter_map(|series| series.points.last());
    let agreed = outcome.lasts_ms + outcome.agreed_after_ms.unwrap_or(0);
    sampled.map(|(at, _)| *at).chain([agreed]).max().unwrap_or(1).max(1)
}

fn frame(height: u64, what: &str, body: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{what}\">{body}</svg>\n"
    )
}

/// Lines and times along the lower edge.
fn time_axis(end_ms: u64, top: u64, bottom: u64) -> String {
    let tick = |part: u64| {
        let at_ms = end_ms * part / 6;
        let x = x(at_ms, end_ms);
        let anchor = if part == 6 { "end" } else { "middle" };
        format!(
            "<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\"/>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            bottom + 16,
            length(at_ms)
        )
    };
    (0..=6).map(tick).collect()
}

/// The lanes of a timeline: nodes, or regions when there are too many nodes.
fn lanes(outcome: &Outcome) -> (Vec<String>, Vec<usize>) {
    let by = |name: fn(&super::super::NodeOutcome) -> &String| {
        let mut lanes: Vec<String> = Vec::new();
        let lane_of = outcome.nodes.iter().map(|node| {
            let known = lanes.iter().position(|lane| lane == name(node));
            known.unwrap_or_else(|| {
                lanes.push(name(node).clone());
                lanes.len() - 1
            })
        });
        let lane_of = lane_of.collect();
        (lanes, lane_of)
    };
    if outcome.nodes.len() <= LANES_MAX { by(|node| &node.name) } else { by(|node| &node.region) }
}

/// Who was cut off, down or slow, and when.
pub(super) fn timeline(outcome: &Outcome) -> String {
    let (lanes, lane_of) = lanes(outcome);
    let end_ms = end_ms(outcome);
    let bottom = 10 + 26 * lanes.len() as u64;
    let mut body = time_axis(end_ms, 6, bottom);
    for (at, lane) in lanes.iter().enumerate() {
        let y = 10 + 26 * at as u64;
        body.push_str(&format!(
            "<text class=\"name\" x=\"0\" y=\"{}\">{}</text>",
            y + 15,
            escaped(lane)
        ));
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for moment in outcome.timeline.iter().filter(|moment| !moment.nodes.is_empty()) {
        let next = kinds.len();
        let kind = *kinds.entry(&moment.what).or_insert(next);
        let mut drawn: Vec<usize> = moment.nodes.iter().map(|node| lane_of[*node]).collect();
        drawn.sort_unstable();
        drawn.dedup();
        for lane in drawn {
            body.push_str(&mark(moment, lane, kind, end_ms));
        }
    }
    let key = kinds.iter().map(|(kind, at)| {
        format!("<span><i style=\"background:{}\"></i>{}</span>", colour(*at), escaped(kind))
    });
    let key: String = key.collect();
    let picture = frame(bottom + 22, "timeline of faults", &body);
    format!("<p class=\"key\">{key}</p>\n{picture}")
}

fn mark(moment: &Moment, lane: usize, kind: usize, end_ms: u64) -> String {
    let y = 13 + 26 * lane as u64;
    let from = x(moment.at_ms, end_ms);
    let wide = moment.until_ms.map_or(3, |until| x(until, end_ms).saturating_sub(from).max(3));
    format!(
        "<rect x=\"{from}\" y=\"{y}\" width=\"{wide}\" height=\"18\" rx=\"3\" fill=\"{}\" \
         fill-opacity=\"0.75\"><title>{}: {}</title></rect>",
        colour(kind),
        length(moment.at_ms),
        escaped(&moment.text)
    )
}

/// The lag of each region over time.
pub(super) fn staleness(outcome: &Outcome) -> String {
    const TOP: u64 = 10;
    const BOTTOM: u64 = 230;
    let end_ms = end_ms(outcome);
    let points = outcome.staleness.iter().flat_map(|series| &series.points);
    let most = points.map(|(_, lag)| *lag).max().unwrap_or(0).max(1);
    let y = |lag: u64| {
        BOTTOM
            - u64::try_from(u128::from(lag) * u128::from(BOTTOM - TOP) / u128::from(most))
                .unwrap_or(0)
    };
    let mut body = time_axis(end_ms, TOP, BOTTOM);
    for part in 0..=4 {
        let lag = most / 4 * part;
        body.push_str(&format!(
            "<line class=\"grid\" x1=\"{NAMES}\" x2=\"{RIGHT}\" y1=\"{0}\" y2=\"{0}\"/>\
             <text x=\"{1}\" y=\"{2}\" text-anchor=\"end\">{3}</text>",
            y(lag),
            NAMES - 8,
            y(lag) + 4,
            length(lag)
        ));
    }
    let mut key = String::new();
    for (at, series) in outcome.staleness.iter().enumerate() {
        let points =
            series.points.iter().map(|(at, lag)| format!("{},{}", x(*at, end_ms), y(*lag)));
        let points: Vec<String> = points.collect();
        body.push_str(&format!(
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-linejoin=\"round\"{} points=\"{}\"/>",
            colour(at),
            // Lines that lie upon each other are both seen.
            if at % 2 == 1 { " stroke-dasharray=\"7 5\"" } else { "" },
            points.join(" ")
        ));
        key.push_str(&format!(
            "<span><i style=\"background:{}\"></i>{}</span>",
            colour(at),
            escaped(&series.region)
        ));
    }
    let picture = frame(BOTTOM + 22, "lag of each region over time", &body);
    format!("<p class=\"key\">{key}</p>\n{picture}")
}

/// Bytes by link, the most first.
pub(super) fn links(outcome: &Outcome) -> String {
    let mut links: Vec<_> = outcome.links.iter().collect();
    links.sort_by_key(|link| std::cmp::Reverse(link.bytes));
    let over = links.len().saturating_sub(LANES_MAX);
    links.truncate(LANES_MAX);
    let most = links.first().map_or(1, |link| link.bytes.max(1));
    let mut body = String::new();
    for (at, link) in links.iter().enumerate() {
        let y = 4 + 22 * at as u64;
        let wide = (link.bytes * (RIGHT - NAMES - 210) / most).max(2);
        body.push_str(&format!(
            "<text class=\"name\" x=\"0\" y=\"{}\">{} – {}</text>\
             <rect x=\"{}\" y=\"{y}\" width=\"{wide}\" height=\"16\" rx=\"3\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{}\">{} in {} frames</text>",
            y + 13,
            escaped(&link.a),
            escaped(&link.b),
            NAMES + 50,
            colour(0),
            NAMES + 58 + wide,
            y + 13,
            size(link.bytes),
            link.frames
        ));
    }
    let rest = if over > 0 { format!("<p>and {over} more links</p>\n") } else { String::new() };
    frame(8 + 22 * links.len() as u64, "bytes by link", &body) + &rest
}
