//! The attribute table as a tree of path segments, for look-ups and for walking JSON.

use std::sync::LazyLock;

use super::table::facts as fact_rows;
use super::{Attribute, table};

/// Everything that can follow one segment of a path.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// The attribute whose pattern ends here.
    pub(crate) attribute: Option<&'static Attribute>,
    /// The literal segments that can follow, in order, and what follows them.
    literals: Vec<&'static str>,
    after: Vec<Self>,
    placeholder: Option<Box<Self>>,
}

/// The tree of the whole table of the golden record.
pub(crate) fn root() -> &'static Node {
    static ROOT: LazyLock<Node> = LazyLock::new(|| {
        let mut root = Node::default();
        for attribute in table() {
            root.add(attribute);
        }
        root
    });
    &ROOT
}

/// The tree of the facts of governance, which no walk through a record's JSON enters.
pub(crate) fn facts() -> &'static Node {
    static FACTS: LazyLock<Node> = LazyLock::new(|| {
        let mut root = Node::default();
        for fact in fact_rows() {
            root.add(fact);
        }
        root
    });
    &FACTS
}

/// How many segments the path of the item has that an attribute belongs to.
pub(super) fn item_depth(attribute: &Attribute) -> Option<usize> {
    static DEPTHS: LazyLock<Vec<Option<usize>>> = LazyLock::new(|| {
        let is_item = |pattern: &str| {
            table().iter().any(|attribute| attribute.pattern == pattern && attribute.is_item())
        };
        let depth = |attribute: &Attribute| {
            let ends = attribute.pattern.match_indices('/').map(|(end, _)| end);
            let depths = ends.enumerate().filter(|(_, end)| is_item(&attribute.pattern[..*end]));
            depths.last().map(|(before, _)| before + 1)
        };
        table().iter().map(depth).collect()
    });
    DEPTHS.get(attribute.place?).copied().flatten()
}

impl Node {
    fn add(&mut self, attribute: &'static Attribute) {
        let mut node = self;
        for segment in attribute.pattern.split('/') {
            node = if segment.starts_with('{') {
                node.placeholder.get_or_insert_default()
            } else {
                node.after_literal(segment)
            };
        }
        node.attribute = Some(attribute);
    }

    fn after_literal(&mut self, segment: &'static str) -> &mut Self {
        let place = self.literals.binary_search(&segment).unwrap_or_else(|place| {
            self.literals.insert(place, segment);
            self.after.insert(place, Self::default());
            place
        });
        &mut self.after[place]
    }

    /// The attribute at the end of escaped segments. Literals win, but a dead end turns back.
    pub(crate) fn find(&self, segments: &[&str]) -> Option<&'static Attribute> {
        let Some((first, rest)) = segments.split_first() else { return self.attribute };
        // Literals hold nothing that is escaped, so the escaped segment compares as it is.
        let literal = self.literal(first).and_then(|node| node.find(rest));
        literal.or_else(|| self.placeholder.as_ref().and_then(|node| node.find(rest)))
    }

    /// What follows a literal segment.
    pub(crate) fn literal(&self, segment: &str) -> Option<&Self> {
        // Few are of one length, and lengths compare without looking at the text.
        let place = self.literals.iter().position(|literal| *literal == segment)?;
        self.after.get(place)
    }

    /// What follows any other segment.
    pub(crate) fn placeholder(&self) -> Option<&Self> {
        self.placeholder.as_deref()
    }

    /// The literal segments that can follow.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &'static str> {
        self.literals.iter().copied()
    }
}
