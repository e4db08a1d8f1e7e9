//! Trees by hand, and what holds for any edges in any order.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;

fn id(number: u16) -> RecordId {
    let mut bytes = [0; 16];
    bytes[14..].copy_from_slice(&number.to_be_bytes());
    RecordId::from_bytes(bytes)
}

fn edge(child: u16, parent: u16, ms: u64) -> ParentEdge {
    ParentEdge { since: Hlc::from_ms(ms), child: id(child), parent: id(parent) }
}

/// Customers 0 to `count` with these edges.
struct World {
    count: u16,
    edges: BTreeMap<RecordId, ParentEdge>,
    asked: Cell<usize>,
}

impl World {
    fn new(count: u16, edges: &[ParentEdge]) -> Self {
        let edges = edges.iter().map(|edge| (edge.child, *edge)).collect();
        Self { count, edges, asked: Cell::new(0) }
    }

    fn place(&self, record: &RecordId) -> Place {
        self.asked.set(self.asked.get() + 1);
        match self.edges.get(record) {
            Some(edge) => Place::Under(*edge),
            None if *record < id(self.count) => Place::Top,
            None => Place::Missing,
        }
    }

    fn children(&self) -> BTreeMap<RecordId, Vec<RecordId>> {
        let mut children: BTreeMap<RecordId, Vec<RecordId>> = BTreeMap::new();
        for edge in self.edges.values() {
            children.entry(edge.parent).or_default().push(edge.child);
        }
        children
    }

    fn ascend(&self, from: u16) -> Ascent {
        ascend(id(from), |record| self.place(record))
    }

    fn descend(&self, from: RecordId) -> Tree {
        let children = self.children();
        let below = |record: &RecordId| children.get(record).cloned().unwrap_or_default();
        descend(from, |record| self.place(record), below)
    }

    fn forest(&self) -> Forest {
        let records = (0..self.count).map(id).collect();
        forest(&records, self.edges.values().copied())
    }
}

fn ids(numbers: &[u16]) -> Vec<RecordId> {
    numbers.iter().copied().map(id).collect()
}

#[test]
fn the_way_up_ends_at_the_ultimate_parent() {
    let world = World::new(4, &[edge(3, 2, 5), edge(2, 1, 9), edge(1, 0, 1)]);
    let ascent = world.ascend(3);
    assert_eq!(ascent, Ascent { path: ids(&[3, 2, 1, 0]), summit: Summit::Top });
    assert_eq!((ascent.ultimate(), ascent.finding()), (Some(id(0)), None));
    assert_eq!(world.ascend(0).path, ids(&[0]));
}

#[test]
fn invariant_8_a_cycle_of_two_regions_is_cut_at_the_latest_edge_for_everyone() {
    // 1 -> 2 and 2 -> 1 were written apart; 3 belongs to 1.
    let world = World::new(4, &[edge(1, 2, 10), edge(2, 1, 20), edge(3, 1, 30)]);
    let cut = edge(2, 1, 20);
    for (from, path) in [(1, ids(&[1, 2])), (2, ids(&[2])), (3, ids(&[3, 1, 2]))] {
        assert_eq!(world.ascend(from), Ascent { path, summit: Summit::Cut(cut) });
    }
    let finding = world.ascend(3).finding().unwrap();
    assert_eq!((finding.code, finding.about), ("hierarchy-cycle", ids(&[2, 1])));
    assert!(finding.text.starts_with("The parents form a circle."), "{}", finding.text);
    assert_eq!(world.forest().cut, [cut]);
    let members: Vec<RecordId> =
        world.descend(id(2)).nodes.iter().map(|node| node.record).collect();
    assert_eq!(members, ids(&[2, 1, 3]));
    let members: Vec<RecordId> =
        world.descend(id(1)).nodes.iter().map(|node| node.record).collect();
    assert_eq!(members, ids(&[1, 3]), "2 is above 1, not below");
}

#[test]
fn edges_of_one_time_are_told_apart_by_the_child() {
    let world = World::new(3, &[edge(1, 2, 10), edge(2, 1, 10)]);
    assert_eq!(world.forest().cut, [edge(2, 1, 10)]);
    let own = World::new(2, &[edge(1, 1, 10)]);
    assert_eq!(own.ascend(1), Ascent { path: ids(&[1]), summit: Summit::Cut(edge(1, 1, 10)) });
}

#[test]
fn a_parent_that_is_not_here_is_named() {
    let world = World::new(3, &[edge(2, 1, 1), edge(1, 900, 2)]);
    let ascent = world.ascend(2);
    assert_eq!(ascent, Ascent { path: ids(&[2, 1]), summit: Summit::Missing(id(900)) });
    assert_eq!(ascent.finding().unwrap().code, "parent-missing");
    assert_eq!(world.forest().missing, BTreeMap::from([(id(900), ids(&[1]))]));
    assert_eq!(world.ascend(800), Ascent { path: ids(&[800]), summit: Summit::Missing(id(800)) });
}

#[test]
fn more_levels_than_a_hierarchy_has_are_not_followed() {
    let chain: Vec<ParentEdge> = (1..200).map(|child| edge(child, child - 1, 1)).collect();
    let world = World::new(200, &chain);
    assert_eq!(world.ascend(64).summit, Summit::Top);
    let ascent = world.ascend(65);
    assert_eq!((ascent.path.len(), ascent.summit), (DEPTH_MAX + 1, Summit::TooDeep));
    assert_eq!(ascent.finding().unwrap().code, "hierarchy-too-deep");
    let tree = world.descend(id(0));
    assert_eq!((tree.nodes.len(), tree.truncated), (DEPTH_MAX + 1, true));
    // A cycle longer than that is still cut at one edge for everyone.
    let mut ring = chain;
    ring.push(edge(0, 199, 7));
    let world = World::new(200, &ring);
    assert_eq!(world.ascend(64).summit, Summit::Cut(edge(0, 199, 7)));
    assert_eq!(world.ascend(199).summit, Summit::TooDeep);
    assert_eq!(world.descend(id(150)).cut, Some(edge(0, 199, 7)));
}

#[test]
fn an_index_that_lags_behind_adds_nobody() {
    let world = World::new(4, &[edge(1, 0, 1), edge(2, 3, 1)]);
    let tree = descend(
        id(0),
        |record| world.place(record),
        |record| if *record == id(0) { ids(&[1, 2, 2, 1, 3, 900]) } else { Vec::new() },
    );
    assert_eq!(tree.nodes.iter().map(|node| node.record).collect::<Vec<_>>(), ids(&[0, 1]));
}

/// Five thousand customers in 500 ms leaves 100 µs for each; an index answers in a few of them.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures; the model does not")]
fn five_thousand_customers_are_walked_in_half_a_second() {
    let edges: Vec<ParentEdge> = (1..5_000).map(|child| edge(child, (child - 1) / 3, 1)).collect();
    let world = World::new(5_000, &edges);
    let start = std::time::Instant::now();
    let tree = world.descend(id(0));
    let took = start.elapsed();
    assert_eq!((tree.nodes.len(), tree.truncated), (5_000, false));
    assert!(world.asked.get() <= 5_010, "each customer is looked up once, not {:?}", world.asked);
    assert!(took.as_millis() <= 500, "{took:?}");
}

/// As simple as can be: cut edge after edge until following parents never comes back.
fn reference(edges: &[ParentEdge]) -> (BTreeMap<RecordId, RecordId>, BTreeSet<ParentEdge>) {
    let mut left: Vec<ParentEdge> = edges.to_vec();
    let mut cut = BTreeSet::new();
    let returns = |edges: &[ParentEdge], start: &ParentEdge| {
        let mut at = start.parent;
        for _ in 0..=edges.len() {
            if at == start.child {
                return true;
            }
            match edges.iter().find(|edge| edge.child == at) {
                Some(edge) => at = edge.parent,
                None => return false,
            }
        }
        false
    };
    loop {
        let on_cycles = left.iter().filter(|edge| returns(&left, edge));
        let Some(worst) = on_cycles.max_by_key(|edge| (edge.since, edge.child)).copied() else {
            break;
        };
        left.retain(|edge| *edge != worst);
        cut.insert(worst);
    }
    (left.iter().map(|edge| (edge.child, edge.parent)).collect(), cut)
}

fn edges() -> impl Strategy<Value = Vec<ParentEdge>> {
    let parents = prop::collection::vec(prop::option::weighted(0.9, (0_u16..30, 0_u64..6)), 24);
    parents.prop_map(|parents| {
        let edges = (0..).zip(parents);
        edges.filter_map(|(child, parent)| parent.map(|(p, ms)| edge(child, p, ms))).collect()
    })
}

proptest! {
    #[test]
    fn any_order_of_edges_gives_the_same_forest_without_a_cycle(
        (edges, shuffled) in edges()
            .prop_flat_map(|edges| (Just(edges.clone()), Just(edges).prop_shuffle())),
    ) {
        let records: BTreeSet<RecordId> = (0..30).map(id).collect();
        let made = forest(&records, edges.clone());
        prop_assert_eq!(&made, &forest(&records, shuffled));
        let (parents, cut) = reference(&edges);
        prop_assert_eq!(&made.parents, &parents);
        // The reference cuts one edge for each cycle, so the same edges are as few as can be.
        prop_assert_eq!(made.cut.iter().copied().collect::<BTreeSet<_>>(), cut);
        for record in &records {
            let mut at = *record;
            for _ in 0..30 {
                match made.parents.get(&at) {
                    Some(parent) => at = *parent,
                    None => break,
                }
            }
            prop_assert!(!made.parents.contains_key(&at), "a cycle is left above {}", record);
        }
    }

    #[test]
    fn one_customer_at_a_time_sees_what_the_forest_shows(edges in edges()) {
        let world = World::new(30, &edges);
        let forest = world.forest();
        for number in 0..30 {
            let mut path = vec![id(number)];
            while let Some(parent) = forest.parents.get(path.last().unwrap()) {
                path.push(*parent);
            }
            prop_assert_eq!(&world.ascend(number).path, &path);
            let below: BTreeSet<RecordId> =
                world.descend(id(number)).nodes.iter().map(|node| node.record).collect();
            let under = (0..30).filter(|other| world.ascend(*other).path.contains(&id(number)));
            prop_assert_eq!(below, under.map(id).collect::<BTreeSet<_>>());
        }
    }
}
