//! What belongs to an item goes with it: nothing is verified, used or paid to where there is no account
//! or address. The claims stay, are reported, and count again when the item is back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::golden_record::{Loser, LossReason, Resolution, Segment};
use crate::path::AttributePath;

/// Takes the winner from every attribute on the days on which the item that it belongs to has none.
/// `belonging` are those attributes, each with its item.
pub(super) fn settle(
    attributes: &mut BTreeMap<AttributePath, Vec<Segment>>,
    belonging: &[(&AttributePath, &str)],
) {
    let parted = belonging.iter().filter_map(|(path, item)| {
        let item: AttributePath = item.parse().ok()?;
        let item = attributes.get(&item).map_or(&[][..], Vec::as_slice);
        let is_always_there =
            !item.is_empty() && item.iter().all(|segment| segment.resolution.winner.is_some());
        (!is_always_there).then(|| Some(((*path).clone(), with_item(attributes.get(*path)?, item))))
    });
    let parted: Vec<_> = parted.flatten().collect();
    attributes.extend(parted);
}

/// The segments of an attribute, parted where its item comes and goes; neighbours differ.
fn with_item(segments: &[Segment], item: &[Segment]) -> Vec<Segment> {
    let days = segments.iter().chain(item).map(|segment| segment.from);
    let days: BTreeSet<Option<Date>> = days.collect();
    let mut parted: Vec<Segment> = Vec::with_capacity(days.len());
    for from in days {
        let Some(said) = on(segments, from) else { continue };
        let resolution = match on(item, from).is_some_and(|item| item.winner.is_some()) {
            true => said.clone(),
            false => without_item(said),
        };
        if parted.last().is_none_or(|before| before.resolution != resolution) {
            parted.push(Segment { from, resolution });
        }
    }
    parted
}

fn on(segments: &[Segment], day: Option<Date>) -> Option<&Resolution> {
    let begun = segments.iter().take_while(|segment| segment.from <= day);
    begun.last().map(|segment| &segment.resolution)
}

fn without_item(said: &Resolution) -> Resolution {
    let mut losers = said.losers.clone();
    for loser in losers.iter_mut().filter(|loser| loser.reason.is_live()) {
        loser.reason = LossReason::ItemMissing;
    }
    let winner = said.winner.iter().cloned();
    losers.extend(winner.map(|candidate| Loser { candidate, reason: LossReason::ItemMissing }));
    // Where the winner would stand, had it lost.
    losers.sort_by(|a, b| {
        let [a, b] = [a, b].map(|loser| &loser.candidate);
        (&a.source, &a.origin).cmp(&(&b.source, &b.origin))
    });
    Resolution { winner: None, losers, disagreement: false, conflict: false, ..said.clone() }
}
