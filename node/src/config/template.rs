//! The configuration file that a new node gets: every key with its meaning, unit and default.

use super::{CONFIG_FILE, DEFAULTS, Kind, Setting, variable};

/// The text of a new file. `set` has the keys to set, with their values as TOML; the others stand as
/// comments with their defaults.
#[must_use]
pub fn template(set: &[(&str, String)]) -> String {
    let mut text = format!(
        "# {CONFIG_FILE}: the configuration of a Concord node. See docs/operations.md.\n\
         # A key that is commented out has the value shown. Restart the node after a change.\n"
    );
    let mut table = "";
    for setting in DEFAULTS {
        let (own_table, key) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if own_table != table {
            table = own_table;
            text.push_str(&format!("\n[{table}]\n"));
        }
        text.push('\n');
        for line in wrapped(&describe(setting)) {
            text.push_str(&format!("# {line}\n"));
        }
        match set.iter().find(|(known, _)| *known == setting.key) {
            Some((_, value)) => text.push_str(&format!("{key} = {value}\n")),
            None => text.push_str(&format!("# {key} = {}\n", setting.default.unwrap_or("\"\""))),
        }
    }
    text
}

fn describe(setting: &Setting) -> String {
    let mut text = format!("{} Unit: {}.", setting.meaning, setting.unit);
    if let Kind::Whole(min, max) = setting.kind {
        text.push_str(&format!(" Bounds: {min} to {max}."));
    }
    if let Some(default) = setting.default {
        text.push_str(&format!(" Default: {default}."));
    }
    text.push_str(&format!(" Environment: {}.", variable(setting.key)));
    text
}

/// The words of a text in lines of a readable length.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].len() + word.len() > 90 {
            lines.push(word.to_owned());
        } else {
            let gap = if lines[last].is_empty() { "" } else { " " };
            lines[last].push_str(&format!("{gap}{word}"));
        }
    }
    lines
}
