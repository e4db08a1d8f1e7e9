//! Two regions edit one customer apart, meet, and show the same record.
//!
//! The pure core alone, without socket, disk or clock: two replicas over stores in memory, and a loop
//! that does what they ask for. A driver does the same with real ones.
//! `cargo run -p node --example two_regions`

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Write};

use crdt_model::id::RecordId;
use crdt_model::normalize::{Context, normalize_patch};
use crdt_model::path::AttributePath;
use crdt_model::policy::Policy;
use crdt_model::survivorship::resolve;
use crdt_model::time::Hlc;
use node::identity::NodeKey;
use node::kv::Memory;
use node::replica::action::Action;
use node::replica::event::{
    Answer, Event, LinkId, Precondition, Provenance, RecordWrite, Ticket, WriteRequest,
};
use node::replica::limits::HEARTBEAT_MS;
use node::replica::records::Records;
use node::replica::roster::{Member, Roster};
use node::replica::{Config, Replica};
use serde_json::{Value as Json, json};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    run(&mut io::stdout())
}

pub(crate) fn run(out: &mut impl Write) -> Result<(), Failure> {
    let mut world = World::found(&[("lyon", "EMEA"), ("chicago", "AMER")])?;
    let customer = RecordId::derive("crm-number", "4711");
    let terms: AttributePath = "company/1000/payment_terms".parse()?;
    let paying = |days: &str| json!({"company": {"1000": {"payment_terms": days}}});

    writeln!(out, "Lyon opens company code 1000; the line is cut; both write:")?;
    let (lyon, chicago) = (0, 1);
    world.write(lyon, customer, "erp-emea", &paying("NT30"))?;
    world.write(chicago, customer, "erp-amer", &paying("NT60"))?;
    world.write(chicago, customer, "crm-amer", &json!({"name": {"legal": "Muller GmbH"}}))?;
    for site in &world.sites {
        writeln!(out, "  {} shows {:?}", site.name, site.shown(customer, &terms)?)?;
    }

    world.meet();
    let (frames, bytes) = (world.frames, world.bytes);
    writeln!(out, "\nThey meet: {frames} frames, {bytes} bytes. Now:")?;
    for site in &world.sites {
        writeln!(out, "  {} shows {:?}", site.name, site.shown(customer, &terms)?)?;
    }

    writeln!(out, "\nWhy, and what became of the other value:")?;
    let records = Records::new(&world.sites[chicago].store);
    let document = records.document(&customer)?.ok_or("no document")?;
    let resolved = resolve(&Policy::built_in(), &document.claims());
    let resolution = resolved.at(&terms, Hlc::from_ms(world.now_ms).day()).ok_or("no value")?;
    for loser in &resolution.losers {
        writeln!(out, "  {}", loser.sentence(&terms, resolution))?;
    }

    let proof = |site: &Site| {
        let history = site.replica.history();
        (history.vector.digest(), history.state.golden.digest())
    };
    let equal = proof(&world.sites[lyon]) == proof(&world.sites[chicago]);
    writeln!(out, "\nEqual digests of history and golden records: {equal}")?;
    Ok(())
}

/// One region: its replica, and a store that keeps what the replica asks to persist.
struct Site {
    name: &'static str,
    replica: Replica,
    store: Memory,
}

impl Site {
    /// What people read.
    fn shown(&self, customer: RecordId, path: &AttributePath) -> Result<String, Failure> {
        let golden = Records::new(&self.store).golden(&customer)?.ok_or("no golden record")?;
        let value = golden.attributes.get(path).and_then(|values| values.last());
        let text = value.and_then(|value| value.value.as_deref()?.as_text());
        Ok(text.unwrap_or("nothing").to_owned())
    }
}

/// Two sites, the time, and what travels between them.
struct World {
    sites: Vec<Site>,
    now_ms: u64,
    waiting: VecDeque<(usize, Event)>,
    frames: usize,
    bytes: usize,
}

impl World {
    fn found(regions: &[(&'static str, &str)]) -> Result<Self, Failure> {
        let network = NodeKey::from_seed(&[0; 32]);
        let mut roster = Roster::found("acme", &network)?;
        let mut keys = Vec::new();
        for (number, (name, region)) in (1..).zip(regions) {
            let key = NodeKey::from_seed(&[number; 32]);
            let (node, name, region) = (key.id(), (*name).to_owned(), region.parse()?);
            roster.admit(Member { node, name, region, addresses: Vec::new() }, &network)?;
            keys.push(key);
        }
        let mut sites = Vec::new();
        for ((nonce, key), (name, _)) in (1..).zip(keys).zip(regions) {
            let config = Config {
                signer: Box::new(key),
                roster: roster.clone(),
                nonce,
                connect: Vec::new(),
                heartbeat_ms: HEARTBEAT_MS,
                behind: None,
                policy: Policy::built_in(),
            };
            let mut store = Memory::new();
            let (replica, ops) = Replica::load(config, &store)?;
            store.apply(&ops);
            sites.push(Site { name, replica, store });
        }
        let now_ms = 1_800_000_000_000;
        Ok(Self { sites, now_ms, waiting: VecDeque::new(), frames: 0, bytes: 0 })
    }

    fn write(
        &mut self,
        at: usize,
        record: RecordId,
        source: &str,
        tree: &Json,
    ) -> Result<(), Failure> {
        let edits =
            normalize_patch(tree, &Context::default()).map_err(|faults| faults[0].clone())?;
        let request = WriteRequest {
            source: source.parse()?,
            propose: false,
            restate: false,
            provenance: Provenance { principal: "ana".to_owned(), ..Provenance::default() },
            records: vec![RecordWrite {
                record,
                precondition: Precondition::None,
                edits: edits.into_iter().collect(),
                numbered: false,
            }],
        };
        self.now_ms += 60_000;
        for answer in self.handle(at, Event::Write { ticket: Ticket(1), request }) {
            if let Answer::Write(outcome) = answer {
                outcome?;
            }
        }
        Ok(())
    }

    /// A link comes up, and lasts until nothing more is said.
    fn meet(&mut self) {
        let link = LinkId(1);
        for (at, dialed) in [(0, true), (1, false)] {
            let peer = self.sites[1 - at].replica.node();
            self.waiting.push_back((at, Event::LinkUp { link, peer, dialed }));
        }
        while let Some((at, event)) = self.waiting.pop_front() {
            self.handle(at, event);
        }
    }

    /// Lets a replica handle an event, and does what it asks for, in order.
    fn handle(&mut self, at: usize, event: Event) -> Vec<Answer> {
        let Site { replica, store, .. } = &mut self.sites[at];
        let mut answers = Vec::new();
        for action in replica.handle(self.now_ms, event, store) {
            match action {
                Action::Persist(ops) => store.apply(&ops),
                Action::Send { link, frame } => {
                    self.frames += 1;
                    self.bytes += frame.len();
                    self.waiting.push_back((at, Event::Sent { link, bytes: frame.len() }));
                    self.waiting.push_back((1 - at, Event::Frame { link, bytes: frame }));
                }
                Action::Reply { answer, .. } => answers.push(answer),
                // Nobody to call, and nothing that an operator must see.
                Action::Dial { .. } | Action::Close { .. } => {}
                Action::Admit(_) | Action::Alarm(_) => {}
            }
        }
        answers
    }
}
