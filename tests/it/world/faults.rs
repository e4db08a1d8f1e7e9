//! What goes wrong: links that drop, pairs and groups that are cut apart, crashes, restores.

use crdt_model::id::CommitRef;
use node::kv::{Memory, View};
use node::replica::event::LinkId;
use node::replica::layout;

use super::{ACTIVE_MS, Happening, NODES, START_MS, World, name};

impl World {
    pub(super) fn fault(&mut self) {
        if self.healing {
            return;
        }
        match self.random.below(20) {
            0..=6 => self.drop_link(),
            7..=11 => {
                let pairs: Vec<_> = self.topology.iter().copied().collect();
                let pair = self.random.pick(&pairs);
                self.cut_apart(pair);
            }
            12 | 13 => self.partition(),
            14..=16 => {
                let node = self.random.index(NODES);
                self.note(format!("{} is stopped", name(node)));
                self.stop(node);
            }
            17 | 18 => {
                let node = self.random.index(NODES);
                self.nodes[node].backup = self.nodes[node].store.clone();
            }
            _ => self.restore(),
        }
        let pause = 1 + self.random.below(3_000);
        self.schedule(pause, Happening::Fault);
    }

    /// The ends notice one after the other; what is under way may still arrive before that.
    fn drop_link(&mut self) {
        let live: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.up == [true; 2]).map(|(id, _)| *id).collect();
        if live.is_empty() {
            return;
        }
        let link = self.random.pick(&live);
        self.note(format!("{link} drops"));
        for end in 0..2 {
            let delay = self.random.below(2_000);
            self.schedule(delay, Happening::Down { link, at: self.links[&link].ends[end] });
        }
    }

    /// Nothing gets through between two nodes for a while. What they send is lost.
    fn cut_apart(&mut self, pair: (usize, usize)) {
        if !self.cut.insert(pair) {
            return;
        }
        self.note(format!("{} and {} are cut apart", name(pair.0), name(pair.1)));
        let cut = |link: &super::Link| super::pair(link.ends[0], link.ends[1]) == pair;
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| cut(link)).map(|(id, _)| *id).collect();
        let length = 500 + self.random.below(20_000);
        // The link does not survive: what was sent meanwhile is not sent again on it.
        let noticed = 100 + self.random.below(length - 100);
        for link in links {
            for at in [pair.0, pair.1] {
                self.schedule(noticed, Happening::Down { link, at });
            }
        }
        self.schedule(length, Happening::Mended { pair });
    }

    fn partition(&mut self) {
        let group = 1 + self.random.below((1 << NODES) - 2);
        let crossing: Vec<_> = self
            .topology
            .iter()
            .copied()
            .filter(|(a, b)| (group >> a) & 1 != (group >> b) & 1)
            .collect();
        for pair in crossing {
            self.cut_apart(pair);
        }
    }

    /// A node goes down at once and comes back later. Its peers notice in a while.
    pub(super) fn stop(&mut self, at: usize) {
        if self.nodes[at].replica.take().is_none() {
            return;
        }
        let links: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.ends.contains(&at))
            .map(|(id, _)| *id)
            .collect();
        for link in links {
            self.take_down(link, at);
            let other = self.other_end(link, at);
            let delay = self.random.below(3_000);
            self.schedule(delay, Happening::Down { link, at: other });
        }
        let down_ms = 100 + self.random.below(15_000);
        self.schedule(down_ms, Happening::Start { node: at });
    }

    /// A disk is lost; the node comes back with its last backup, which may be empty.
    fn restore(&mut self) {
        let at = self.random.index(NODES);
        self.note(format!("{} is restored from a backup", name(at)));
        self.stop(at);
        let backup = self.nodes[at].backup.clone();
        self.oracle.restored(at, &backup);
        let acknowledged = std::mem::replace(&mut self.nodes[at].store, backup);
        let held = |key: &[u8]| {
            let mut stores = self.nodes.iter().map(|node| &node.store);
            stores.any(|store| store.get(key).unwrap().is_some())
        };
        let commits = acknowledged.scan(&[layout::COMMIT], &[], usize::MAX).unwrap();
        let elsewhere = commits.iter().filter(|(key, _)| held(key)).count() as u64;
        let behind = &mut self.nodes[at].behind;
        *behind = Some(elsewhere).max(*behind);
        let held = |store: &Memory, commit: &CommitRef| {
            store.get(&layout::commit_key(commit)).unwrap().is_some()
        };
        for commit in self.oracle.promises() {
            if !self.nodes.iter().any(|node| held(&node.store, &commit)) {
                self.oracle.lost(&commit);
            }
        }
    }

    /// Everything that is broken is mended, and nothing breaks any more.
    pub(super) fn heal(&mut self) {
        self.note("the world is healed".to_owned());
        self.healing = true;
        self.cut.clear();
        for node in 0..NODES {
            self.start(node);
        }
        debug_assert!(self.now_ms >= START_MS + ACTIVE_MS);
    }
}
