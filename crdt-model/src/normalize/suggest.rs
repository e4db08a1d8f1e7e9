//! The nearest known name for one that is not known. For the texts of faults, never for a decision.

use strsim::damerau_levenshtein;

/// Longer texts are not compared: the work grows with the square.
const COMPARED_MAX: usize = 80;

/// The known name that is fewest typing slips away, if it is near enough to be meant.
pub(crate) fn nearest<S: AsRef<str>>(
    written: &str,
    known: impl IntoIterator<Item = S>,
) -> Option<S> {
    let cut: String = written.chars().take(COMPARED_MAX).collect::<String>().to_lowercase();
    let near = cut.chars().count().div_ceil(4).max(1);
    known
        .into_iter()
        .map(|name| (damerau_levenshtein(&cut, &name.as_ref().to_lowercase()), name))
        .filter(|(slips, _)| *slips <= near)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, name)| name)
}

/// The nearest known name as a sentence to append to a fault; empty when none is near.
pub(crate) fn did_you_mean<S: AsRef<str>>(
    written: &str,
    known: impl IntoIterator<Item = S>,
) -> String {
    nearest(written, known)
        .map(|name| format!(" Did you mean {}?", name.as_ref()))
        .unwrap_or_default()
}
