//! The attribute table as a tree of path segments, for look-ups and for walking JSON.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::table::facts as fact_rows;
use super::{Attribute, table};

/// Everything that can follow one segment of a path.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// The attribute whose pattern ends here.
    pub(crate) attribute: Option<&'static Attribute>,
    literals: BTreeMap<&'static str, Self>,
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

impl Node {
    fn add(&mut self, attribute: &'static Attribute) {
        let mut node = self;
        for segment in attribute.pattern.split('/') {
            node = if segment.starts_with('{') {
                node.placeholder.get_or_insert_default()
            } else {
                node.literals.entry(segment).or_default()
            };
        }
        node.attribute = Some(attribute);
    }

    /// The attribute at the end of escaped segments. Literals win, but a dead end turns back.
    pub(crate) fn find(&self, segments: &[&str]) -> Option<&'static Attribute> {
        let Some((first, rest)) = segments.split_first() else { return self.attribute };
        // Literals hold nothing that is escaped, so the escaped segment compares as it is.
        let literal = self.literals.get(first).and_then(|node| node.find(rest));
        literal.or_else(|| self.placeholder.as_ref().and_then(|node| node.find(rest)))
    }

    /// What follows a literal segment.
    pub(crate) fn literal(&self, segment: &str) -> Option<&Self> {
        self.literals.get(segment)
    }

    /// What follows any other segment.
    pub(crate) fn placeholder(&self) -> Option<&Self> {
        self.placeholder.as_deref()
    }

    /// The literal segments that can follow.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &'static str> {
        self.literals.keys().copied()
    }
}
