//! The result: rows of ratios, as text and as JSON.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use crate::transport::Transport;

use super::{
    ratio::{Ratio, median},
    rounds::{Ours, Sample, Target},
};

/// The name and version of the JSON layout.
pub const SCHEMA: &str = "mvt.compare/1";

/// Ours on TCP as a peer of ours over QUIC, with the same suite and answers.
pub const OURS_TCP: &str = "ours-tcp";

/// A peer against one suite of ours at one depth. The order of the fields is that of the JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Whom ours is compared with; [`OURS_TCP`] is ours itself.
    pub peer: &'static str,
    /// What carried the frames of ours.
    pub transport: &'static str,
    /// The suite of ours.
    pub suite: &'static str,
    /// How ours answers: `each` or `joint`.
    pub answers: &'static str,
    /// Requests in flight on each connection.
    pub depth: u32,
    /// Connections.
    pub connections: u32,
    /// Server CPU time per request of the peer, ns: the median of the rounds.
    pub peer_ns: f64,
    /// The same of ours.
    pub ours_ns: f64,
    /// Peer's over ours: the median of the ratios of each round. Above 1 ours costs less.
    pub ratio: f64,
    /// The least ratio of any round.
    pub ratio_low: f64,
    /// The greatest ratio of any round.
    pub ratio_high: f64,
}

/// A whole comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Peer by peer, suite by suite, depth by depth.
    pub rows: Vec<Row>,
    /// The machine, the programs, and how it was measured.
    pub environment: Value,
    /// The command line.
    pub command: String,
    /// Every cell in the order of measurement.
    pub samples: Vec<Value>,
}

/// The rows of `samples`.
#[must_use]
pub fn rows(samples: &[Sample], connections: u32) -> Vec<Row> {
    let (mut peers, mut ours, mut depths) = (Vec::new(), Vec::new(), Vec::new());
    for sample in samples {
        match sample.target {
            Target::Peer(name) if !peers.contains(&name) => peers.push(name),
            Target::Ours(asked) if !ours.contains(&asked) => ours.push(asked),
            _ => {}
        }
        if !depths.contains(&sample.depth) {
            depths.push(sample.depth);
        }
    }
    let mut rows = Vec::new();
    let mut add = |peer, target, ours| {
        rows.extend(
            depths.iter().filter_map(|&depth| row(samples, (peer, target), ours, depth, connections)),
        );
    };
    for &peer in &peers {
        let kind = peer.kind();
        let alike = ours.iter().filter(|ours| kind.is_quic == (ours.transport != Transport::Tcp));
        alike.for_each(|ours| add(kind.text, Target::Peer(peer), *ours));
    }
    for &over_quic in ours.iter().filter(|ours| ours.transport != Transport::Tcp) {
        add(OURS_TCP, Target::Ours(Ours { transport: Transport::Tcp, ..over_quic }), over_quic);
    }
    rows
}

fn row(
    samples: &[Sample],
    (peer, target): (&'static str, Target),
    ours: Ours,
    depth: u32,
    connections: u32,
) -> Option<Row> {
    let of = |target| samples.iter().filter(move |it| it.depth == depth && it.target == target);
    let pairs: Vec<(f64, f64)> = of(target)
        .filter_map(|theirs| {
            let ours = of(Target::Ours(ours)).find(|ours| ours.round == theirs.round)?;
            Some((theirs.cost.server_ns, ours.cost.server_ns))
        })
        .collect();
    let (peer_ns, ours_ns): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let ratio = Ratio::of_rounds(&pairs)?;
    Some(Row {
        peer,
        transport: ours.transport.name(),
        suite: ours.suite.name(),
        answers: ours.answers.name(),
        depth,
        connections,
        peer_ns: median(&peer_ns)?,
        ours_ns: median(&ours_ns)?,
        ratio: ratio.median,
        ratio_low: ratio.low,
        ratio_high: ratio.high,
    })
}

/// A sample as JSON.
#[must_use]
pub fn sample(sample: &Sample) -> Value {
    json!({
        "depth": sample.depth,
        "round": sample.round,
        "target": sample.target.text(),
        "server_ns": sample.cost.server_ns,
        "client_ns": sample.cost.client_ns,
        "rate_per_s": sample.cost.rate_per_s,
        "server_busy": sample.cost.server_busy,
    })
}

impl Report {
    /// As indented JSON with a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a report has string keys and finite numbers");
        text + "\n"
    }

    /// As an aligned table.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::from(
            "server CPU-ns per request: medians of the rounds; ratio: peer's over ours within each round, median \
             (least..greatest)\n",
        );
        let _ = writeln!(
            text,
            "{:<10} {:<13} {:<7} {:<7} {:>5} {:>5} {:>9} {:>9} {:>7}  spread",
            "peer", "over", "suite", "answers", "depth", "conns", "peer ns", "ours ns", "ratio"
        );
        for row in &self.rows {
            let _ = writeln!(
                text,
                "{:<10} {:<13} {:<7} {:<7} {:>5} {:>5} {:>9.0} {:>9.0} {:>7.2}  ({:.2}..{:.2})",
                row.peer,
                row.transport,
                row.suite,
                row.answers,
                row.depth,
                row.connections,
                row.peer_ns,
                row.ours_ns,
                row.ratio,
                row.ratio_low,
                row.ratio_high
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{
        arguments::{Answers, Suite},
        cell::Cost,
        peer::PeerName,
    };

    fn cell(depth: u32, round: u32, target: Target, server_ns: f64) -> Sample {
        let cost = Cost { server_ns, client_ns: 1.0, rate_per_s: 1.0, server_busy: 0.5 };
        Sample { depth, round, target, cost }
    }

    fn ours(transport: Transport) -> Target {
        Target::Ours(Ours { transport, suite: Suite::Hs256, answers: Answers::Each })
    }

    fn samples() -> Vec<Sample> {
        let [redis, ours] = [Target::Peer(PeerName::Redis), ours(Transport::Tcp)];
        vec![
            cell(16, 1, redis, 600.0),
            cell(16, 1, ours, 300.0),
            cell(16, 2, ours, 900.0),
            cell(16, 2, redis, 1_200.0),
            cell(16, 3, redis, 600.0),
            cell(16, 3, ours, 200.0),
            cell(256, 1, ours, 100.0),
        ]
    }

    #[test]
    fn a_row_pairs_the_cells_of_one_round() {
        let rows = rows(&samples(), 8);
        assert_eq!(rows.len(), 1, "depth 256 has no cell of the peer: {rows:?}");
        let row = &rows[0];
        assert_eq!((row.peer, row.suite, row.depth, row.connections), ("redis", "hs256", 16, 8));
        assert_eq!((row.peer_ns, row.ours_ns), (600.0, 300.0));
        assert_eq!((row.ratio, row.ratio_high), (2.0, 3.0));
        assert!((row.ratio_low - 4.0 / 3.0).abs() < 1e-12, "{}", row.ratio_low);
    }

    #[test]
    fn over_quic_ours_is_compared_with_quinn_and_with_itself_on_tcp() {
        let [redis, quinn] = [PeerName::Redis, PeerName::Quinn].map(Target::Peer);
        let [tcp, quic] = [Transport::Tcp, Transport::QuicDatagram].map(ours);
        let costs = [(redis, 600.0), (quinn, 4_800.0), (tcp, 400.0), (quic, 500.0)];
        let samples = costs.map(|(target, server_ns)| cell(256, 1, target, server_ns));
        let rows = rows(&samples, 8);
        let found: Vec<_> = rows.iter().map(|row| (row.peer, row.transport, row.ratio)).collect();
        let expected =
            [("redis", "tcp", 1.5), ("quinn", "quic-datagram", 9.6), (OURS_TCP, "quic-datagram", 0.8)];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_json_has_the_fields_of_its_schema() {
        let samples = samples();
        let report = Report {
            schema: SCHEMA,
            rows: rows(&samples, 8),
            environment: json!({"kernel": "k"}),
            command: "cargo x compare".into(),
            samples: samples.iter().map(sample).collect(),
        };
        let text = report.to_json();
        assert!(text.ends_with("}\n"));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema"], "mvt.compare/1");
        assert!(value["environment"].is_object() && value["command"].is_string());
        assert_eq!(value["samples"].as_array().unwrap().len(), 7);
        let row = value["rows"][0].as_object().unwrap();
        let names: Vec<&str> = row.keys().map(String::as_str).collect();
        let expected = [
            "peer",
            "transport",
            "suite",
            "answers",
            "depth",
            "connections",
            "peer_ns",
            "ours_ns",
            "ratio",
            "ratio_low",
            "ratio_high",
        ];
        assert_eq!(names, expected);
        assert_eq!(row["transport"], "tcp");
        assert!(expected[4..].iter().all(|name| row[*name].is_number()));
    }

    #[test]
    fn the_table_is_aligned() {
        let rows = rows(&samples(), 8);
        let environment = Value::Null;
        let report =
            Report { schema: SCHEMA, rows, environment, command: String::new(), samples: Vec::new() };
        let text = report.to_text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        let ratio_end = lines[1].find(" ratio").unwrap() + " ratio".len();
        assert_eq!(&lines[2][..ratio_end].split_whitespace().last(), &Some("2.00"), "{text}");
    }
}
