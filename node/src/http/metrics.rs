//! What a monitoring system collects: counts and lags of the node, and the bounds that they stay below,
//! in the text format of Prometheus (version 0.0.4).

use std::fmt::Display;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::error::Problem;
use super::{App, BODY_MAX, READS_AT_ONCE};
use crate::replica::limits;
use crate::replica::status::{PeerStatus, Status};

/// The media type of the format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What may pile up, and how much of it at most. Each is enforced where it is named in
/// docs/replication.md; the two of the HTTP interface are its own.
const BOUNDS: [(&str, usize); 12] = [
    ("alarms", limits::ALARMS_MAX),
    ("commit_bytes", limits::COMMIT_BYTES_MAX),
    ("frame_bytes", limits::FRAME_MAX),
    ("http_body_bytes", BODY_MAX),
    ("http_reads_at_once", READS_AT_ONCE),
    ("link_in_flight_bytes", limits::LINK_IN_FLIGHT_MAX),
    ("members", limits::MEMBERS_MAX),
    ("node_in_flight_bytes", limits::NODE_IN_FLIGHT_MAX),
    ("open_logs_of_a_member", limits::OPEN_LOGS_MAX),
    ("record_bytes", limits::RECORD_BYTES_MAX),
    ("roster_bytes", limits::ROSTER_BYTES_MAX),
    ("vector_entries", limits::VECTOR_ENTRIES_MAX),
];

/// Counts and lags for a monitoring system, in the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "node",
    responses(
        (status = 200, description = "Metrics, one a line", body = String,
            content_type = "text/plain"),
        (status = "default", description = "A problem", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let text = Page::of(&app.handle.status());
    ([(header::CONTENT_TYPE, TEXT)], text)
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn of(status: &Status) -> String {
        let mut page = Self::default();
        let flag = u8::from;
        page.one("ready", "Whether the node serves reads and writes.", flag(status.ready));
        page.one("at_ms", "When this was so, in ms since 1970.", status.at_ms);
        page.one("commits", "Commits held.", status.commits);
        page.one("feed_position", "The position of the newest feed entry.", status.feed_position);
        page.one("customers", "Customers held.", status.records);
        page.one("conflicted_customers", "Customers with a conflict.", status.conflicted_records);
        page.one("quarantined_items", "Changes that were not applied.", status.quarantined_items);
        page.one("refused_links", "Links refused since the start.", status.refused);
        page.one("alarms", "What an operator must look at.", status.alarms.len());
        page.one("policy_version", "The policy in force.", status.policy.version);
        if let Some(offset) = status.clock_offset_s {
            page.one("clock_offset_seconds", "What the clock is off its peers' median.", offset);
        }
        page.peers(&status.peers);
        page.head("bound", "How much of a thing there can be at most.");
        for (name, most) in BOUNDS {
            page.line("bound", &[("of", name)], most);
        }
        page.0
    }

    fn peers(&mut self, peers: &[PeerStatus]) {
        type Figure = (&'static str, &'static str, fn(&PeerStatus) -> u64);
        let figures: [Figure; 7] = [
            ("peer_connected", "Whether there is a link.", |it| u64::from(it.connected)),
            ("peer_behind_commits", "Commits that the peer lacks.", |it| it.behind),
            ("peer_ahead_commits", "Commits that this node lacks.", |it| it.ahead),
            ("peer_equal", "Whether both hold and show the same.", |it| {
                u64::from(it.equal_history && it.equal_golden)
            }),
            ("peer_heard_ms", "When the peer was last heard, in ms since 1970.", |it| it.heard_ms),
            ("peer_sent_bytes", "Bytes sent to it since the start.", |it| it.bytes_sent),
            ("peer_received_bytes", "Bytes received from it since the start.", |it| {
                it.bytes_received
            }),
        ];
        for (name, help, figure) in figures {
            self.head(name, help);
            for peer in peers {
                self.line(name, &[("peer", &peer.name), ("region", &peer.region)], figure(peer));
            }
        }
    }

    fn one(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help);
        self.line(name, &[], value);
    }

    fn head(&mut self, name: &str, help: &str) {
        self.0 += &format!("# HELP concord_{name} {help}\n# TYPE concord_{name} gauge\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let label = |(name, text): &(&str, &str)| format!("{name}=\"{}\"", escaped(text));
        let labels = labels.iter().map(label).collect::<Vec<_>>().join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        self.0 += &format!("concord_{name}{labels} {value}\n");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::node_id::NodeId;

    #[test]
    fn every_figure_has_its_help_and_labels_cannot_break_a_line() {
        let peer = PeerStatus {
            node: NodeId::from_bytes([1; 32]),
            name: "a\"b\\c\nd".to_owned(),
            region: "EMEA".to_owned(),
            connected: true,
            since_ms: 1,
            behind: 212,
            ahead: 0,
            equal_history: false,
            equal_golden: false,
            heard_ms: 7,
            bytes_sent: 8,
            bytes_received: 9,
            last_error: None,
            advice: None,
            behind_since_ms: 0,
        };
        let status = Status { commits: 5, peers: vec![peer], ..Status::default() };
        let page = Page::of(&status);
        assert!(page.contains("\nconcord_commits 5\n"), "{page}");
        let told = "concord_peer_behind_commits{peer=\"a\\\"b\\\\c\\nd\",region=\"EMEA\"} 212\n";
        assert!(page.contains(told), "{page}");
        assert!(page.contains("concord_bound{of=\"link_in_flight_bytes\"} 262144\n"), "{page}");
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(page.contains(&format!("# TYPE {name} gauge\n")), "{line}");
        }
    }
}
