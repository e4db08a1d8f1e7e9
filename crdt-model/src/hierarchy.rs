//! The hierarchy of customers: who belongs to whom, without a cycle, whatever regions wrote apart.
//!
//! Every customer has at most one parent, so what hangs together has at most one cycle. Two regions
//! that each make the other's customer a parent close one without knowing. Nothing is written to
//! repair it: at every read the edge with the highest (time, child) is left out, on every node the
//! same one, and reported. The customer below that edge is an ultimate parent until somebody decides.
//!
//! The functions take what they need to know of other records as functions, so that an index answers
//! them. They read no store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::civil::Date;

use crate::finding::Finding;
use crate::golden_record::Resolved;
use crate::id::RecordId;
use crate::path::AttributePath;
use crate::time::Hlc;
use crate::value::Scalar;

/// The attribute that names a customer's parent.
pub const PARENT: &str = "relation/parent";
/// The most levels of a hierarchy that are followed. Real ones have fewer than twenty.
pub const DEPTH_MAX: usize = 64;
/// The most customers of one hierarchy that are followed.
pub const MEMBERS_MAX: usize = 5_000;

/// That one customer belongs to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParentEdge {
    /// When the surviving claim was made.
    pub since: Hlc,
    /// The customer that belongs.
    pub child: RecordId,
    /// The customer to which it belongs.
    pub parent: RecordId,
}

impl ParentEdge {
    /// The edge that survived on a day; `None` without a parent.
    #[must_use]
    pub fn of(record: RecordId, resolved: &Resolved, day: Date) -> Option<Self> {
        let path: AttributePath = PARENT.parse().ok()?;
        let winner = resolved.at(&path, day)?.winner.as_ref()?;
        let Scalar::Text(parent) = winner.value.as_ref()?.member("customer")? else { return None };
        let parent = parent.parse().ok()?;
        Some(Self { since: winner.origin.time, child: record, parent })
    }

    /// What decides which edge of a cycle is left out: the latest closed it.
    const fn weight(&self) -> (Hlc, RecordId) {
        (self.since, self.child)
    }
}

/// What is known of a customer's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// This node holds no such record.
    Missing,
    /// It belongs to nobody.
    Top,
    /// It belongs to another.
    Under(ParentEdge),
}

/// How the way up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Summit {
    /// At a customer that belongs to nobody.
    Top,
    /// At a customer whose parent would close a cycle; that edge is left out.
    Cut(ParentEdge),
    /// At a customer whose parent is not held here.
    Missing(RecordId),
    /// Nowhere within [`DEPTH_MAX`] levels or [`MEMBERS_MAX`] customers.
    TooDeep,
}

/// The way from a customer to its ultimate parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ascent {
    /// The customers from the one asked for to the ultimate parent, both included; at most
    /// [`DEPTH_MAX`] and one.
    pub path: Vec<RecordId>,
    /// How it ended.
    pub summit: Summit,
}

impl Ascent {
    /// The ultimate parent, as far as it is known: the last customer of the way.
    #[must_use]
    pub fn ultimate(&self) -> Option<RecordId> {
        self.path.last().copied()
    }

    /// What a steward should look at; `None` for a way that ends as it should.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        let path: AttributePath = PARENT.parse().ok()?;
        let (code, text, about) = match self.summit {
            Summit::Top => return None,
            Summit::Cut(edge) => (
                "hierarchy-cycle",
                format!(
                    "The parents form a circle. Until somebody corrects one of them, {} counts as the \
                     ultimate parent, because its parent {} was stated last.",
                    edge.child, edge.parent
                ),
                vec![edge.child, edge.parent],
            ),
            Summit::Missing(parent) => (
                "parent-missing",
                format!(
                    "The parent {parent} is not known here. It may still arrive; otherwise correct \
                     the parent."
                ),
                vec![parent],
            ),
            Summit::TooDeep => (
                "hierarchy-too-deep",
                format!(
                    "The way to the ultimate parent has more than {DEPTH_MAX} levels. Check the \
                     parents on the way: one of them is wrong."
                ),
                Vec::new(),
            ),
        };
        Some(Finding::new(code, path, text).about(&about))
    }
}

/// The way from a customer to its ultimate parent.
#[must_use]
pub fn ascend(record: RecordId, place: impl Fn(&RecordId) -> Place) -> Ascent {
    let mut ascent = climb(record, &place);
    if ascent.path.len() > DEPTH_MAX + 1 {
        ascent.path.truncate(DEPTH_MAX + 1);
        ascent.summit = Summit::TooDeep;
    }
    ascent
}

/// The way up, however many levels it has: a cycle must be seen whole, or customers on it would be
/// cut off at different edges.
fn climb(record: RecordId, place: &impl Fn(&RecordId) -> Place) -> Ascent {
    let mut path = vec![record];
    let mut edges: Vec<ParentEdge> = Vec::new();
    let mut visited = BTreeMap::from([(record, 0)]);
    let mut at = record;
    while let Place::Under(edge) = place(&at) {
        edges.push(edge);
        at = edge.parent;
        let cycle = visited.get(&at).and_then(|start| edges.get(*start..));
        if let Some(cut) = cycle.and_then(|edges| edges.iter().max_by_key(|edge| edge.weight())) {
            let end = visited.get(&cut.child).map_or(path.len(), |place| place + 1);
            path.truncate(end);
            return Ascent { path, summit: Summit::Cut(*cut) };
        }
        if path.len() >= MEMBERS_MAX {
            return Ascent { path, summit: Summit::TooDeep };
        }
        visited.insert(at, path.len());
        path.push(at);
    }
    if place(&at) == Place::Top {
        return Ascent { path, summit: Summit::Top };
    }
    // The customer asked for stays on its way, even when it is not here.
    if path.len() > 1 {
        path.pop();
    }
    Ascent { path, summit: Summit::Missing(at) }
}

/// A customer in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// The customer.
    pub record: RecordId,
    /// Its parent in the tree; none for the one asked for.
    pub parent: Option<RecordId>,
    /// How many levels it stands below the one asked for.
    pub depth: usize,
}

/// A customer with everyone below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Level by level, and in a level by parent and then by id.
    pub nodes: Vec<Node>,
    /// The edge that would close a cycle, where the one asked for hangs on one.
    pub cut: Option<ParentEdge>,
    /// There are more levels than [`DEPTH_MAX`] or more customers than [`MEMBERS_MAX`]; the rest is
    /// left out.
    pub truncated: bool,
}

/// A customer with everyone below it.
///
/// `children` is an index that may lag behind: who is no child by `place` any more is left out.
#[must_use]
pub fn descend(
    record: RecordId,
    place: impl Fn(&RecordId) -> Place,
    children: impl Fn(&RecordId) -> Vec<RecordId>,
) -> Tree {
    // What hangs together has one cycle at most, and whoever stands below the record reaches it.
    let cut = match climb(record, &place).summit {
        Summit::Cut(cut) => Some(cut),
        Summit::Top | Summit::Missing(_) | Summit::TooDeep => None,
    };
    let mut tree = Tree { cut, ..Tree::default() };
    let mut seen = BTreeSet::from([record]);
    let mut open = VecDeque::from([Node { record, parent: None, depth: 0 }]);
    while let Some(node) = open.pop_front() {
        tree.nodes.push(node);
        let below: BTreeSet<RecordId> = children(&node.record).into_iter().collect();
        for child in below {
            let belongs = match place(&child) {
                Place::Under(edge) => edge.parent == node.record && cut != Some(edge),
                Place::Missing | Place::Top => false,
            };
            if !belongs || seen.contains(&child) {
                continue;
            }
            if node.depth >= DEPTH_MAX || seen.len() >= MEMBERS_MAX {
                tree.truncated = true;
                continue;
            }
            seen.insert(child);
            open.push_back(Node {
                record: child,
                parent: Some(node.record),
                depth: node.depth + 1,
            });
        }
    }
    tree
}

/// Every hierarchy of many customers at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forest {
    /// The parent of each customer that has one; no cycle is left.
    pub parents: BTreeMap<RecordId, RecordId>,
    /// The edges that were left out, one for each cycle, by (time, child).
    pub cut: Vec<ParentEdge>,
    /// The parents that are not among the customers, each with those that name it.
    pub missing: BTreeMap<RecordId, Vec<RecordId>>,
}

/// Breaks every cycle among many customers. Each has one edge at most; of several the latest counts.
#[must_use]
pub fn forest(records: &BTreeSet<RecordId>, edges: impl IntoIterator<Item = ParentEdge>) -> Forest {
    let mut by_child: BTreeMap<RecordId, ParentEdge> = BTreeMap::new();
    for edge in edges {
        let kept = by_child.entry(edge.child).or_insert(edge);
        *kept = (*kept).max(edge);
    }
    let mut forest = Forest::default();
    let mut done: BTreeSet<RecordId> = BTreeSet::new();
    for start in by_child.keys() {
        let mut way: Vec<ParentEdge> = Vec::new();
        let mut on_way: BTreeMap<RecordId, usize> = BTreeMap::new();
        let mut at = *start;
        while let (false, Some(edge)) = (done.contains(&at), by_child.get(&at)) {
            if let Some(first) = on_way.get(&at) {
                forest.cut.extend(way[*first..].iter().max_by_key(|edge| edge.weight()));
                break;
            }
            on_way.insert(at, way.len());
            way.push(*edge);
            at = edge.parent;
        }
        done.extend(on_way.into_keys());
    }
    forest.cut.sort_unstable();
    let cut: BTreeSet<RecordId> = forest.cut.iter().map(|edge| edge.child).collect();
    for edge in by_child.into_values().filter(|edge| !cut.contains(&edge.child)) {
        if records.contains(&edge.parent) {
            forest.parents.insert(edge.child, edge.parent);
        } else {
            forest.missing.entry(edge.parent).or_default().push(edge.child);
        }
    }
    forest
}

#[cfg(test)]
mod tests;
