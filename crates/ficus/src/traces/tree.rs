//! Spans in the order of a tree.
//!
//! A span stands below its parent. One without a known parent that links to a span of this trace stands
//! below that one as linked; what follows from a message, rather than being part of handling it, is recorded
//! so. Any other stands at the root, with a note if it names a parent. Siblings are in the order of their
//! start.

use std::collections::{HashMap, HashSet};

use super::otlp::Span;

/// How a span came to where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Child,
    Linked,
    /// At the root: the parent that it names is not there.
    Orphan,
}

/// One line of the tree.
#[derive(Debug)]
pub(super) enum Row<'a> {
    Span(At<'a>),
    /// Linked spans follow, a step deeper.
    Linked {
        last: Vec<bool>,
    },
}

#[derive(Debug)]
pub(super) struct At<'a> {
    pub span: &'a Span,
    pub place: Place,
    /// The span that it stands below.
    pub below: Option<&'a str>,
    /// From the root down to this one: whether it is the last of its siblings. Empty at the root.
    pub last: Vec<bool>,
    pub has_more: bool,
}

/// Who stands below whom.
struct Tree<'a> {
    children: HashMap<&'a str, Vec<&'a Span>>,
    linked: HashMap<&'a str, Vec<&'a Span>>,
    roots: Vec<(&'a Span, Place)>,
}

/// Every span once, whatever its parents and links say.
pub(super) fn rows(spans: &[Span]) -> Vec<Row<'_>> {
    let mut order: Vec<&Span> = spans.iter().collect();
    order.sort_by_key(|span| (span.start, span.end, &span.id));
    let mut known = HashSet::new();
    order.retain(|span| known.insert(span.id.as_str()));
    let tree = Tree::new(&order, &known);

    let mut walk = Walk { tree: &tree, seen: HashSet::new(), rows: Vec::new() };
    for (root, place) in &tree.roots {
        walk.from(root, *place);
    }
    // What is left are spans that are each other's ancestors.
    for span in order {
        walk.from(span, Place::Orphan);
    }
    walk.rows
}

impl<'a> Tree<'a> {
    fn new(order: &[&'a Span], known: &HashSet<&'a str>) -> Self {
        let mut tree = Self { children: HashMap::new(), linked: HashMap::new(), roots: Vec::new() };
        for span in order {
            let parent = span.parent.as_deref();
            if let Some(parent) = parent.filter(|parent| known.contains(parent)) {
                tree.children.entry(parent).or_default().push(span);
            } else if let Some(to) = linked_to(span, known) {
                tree.linked.entry(to).or_default().push(span);
            } else {
                let place = if parent.is_some() { Place::Orphan } else { Place::Root };
                tree.roots.push((span, place));
            }
        }
        tree
    }
}

fn linked_to<'a>(span: &'a Span, known: &HashSet<&'a str>) -> Option<&'a str> {
    let within = span.links.iter().filter(|link| link.trace == span.trace);
    within.map(|link| link.span.as_str()).find(|to| *to != span.id && known.contains(to))
}

/// Goes through the tree without recursion: a chain of spans may be as long as a sender likes.
struct Walk<'a, 't> {
    tree: &'t Tree<'a>,
    seen: HashSet<&'a str>,
    rows: Vec<Row<'a>>,
}

impl<'a> Walk<'a, '_> {
    fn from(&mut self, root: &'a Span, place: Place) {
        if self.seen.contains(root.id.as_str()) {
            return;
        }
        let at = At { span: root, place, below: None, last: Vec::new(), has_more: false };
        let mut stack = vec![Row::Span(at)];
        while let Some(row) = stack.pop() {
            match row {
                Row::Linked { .. } => self.rows.push(row),
                Row::Span(mut at) if self.seen.insert(&at.span.id) => {
                    let below = self.below(&at);
                    at.has_more = !below.is_empty();
                    self.rows.push(Row::Span(at));
                    stack.extend(below.into_iter().rev());
                }
                Row::Span(_) => {}
            }
        }
    }

    /// What stands below a span, in order: its children, then a line for the linked ones, then these.
    fn below(&self, at: &At<'a>) -> Vec<Row<'a>> {
        let id = at.span.id.as_str();
        let of = |all: &HashMap<&str, Vec<&'a Span>>| all.get(id).cloned().unwrap_or_default();
        let (children, linked) = (of(&self.tree.children), of(&self.tree.linked));
        let deeper = |path: &[bool], last| [path, &[last]].concat();
        let row = |span, place, path: &[bool], last| {
            let last = deeper(path, last);
            Row::Span(At { span, place, below: Some(id), last, has_more: false })
        };

        let mut rows = Vec::new();
        for (n, child) in children.iter().enumerate() {
            let last = n + 1 == children.len() && linked.is_empty();
            rows.push(row(child, Place::Child, &at.last, last));
        }
        if !linked.is_empty() {
            let line = deeper(&at.last, true);
            rows.push(Row::Linked { last: line.clone() });
            for (n, span) in linked.iter().enumerate() {
                rows.push(row(span, Place::Linked, &line, n + 1 == linked.len()));
            }
        }
        rows
    }
}
