//! Changing one entry of `concord.toml` and leaving everything else as people wrote it.

use toml_edit::{DocumentMut, Item, Table, Value};

/// The text with this key set to this word: the line that sets it, else the line that stands there as
/// a comment, else a new one. `None` when the text is no TOML or has something else in that place.
#[must_use]
pub fn set_word(text: &str, key: &str, word: &str) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let (table, name) = key.split_once('.').unwrap_or(("", key));
    if let Some(item) = document
        .get_mut(table)
        .and_then(Item::as_table_like_mut)
        .and_then(|keys| keys.get_mut(name))
    {
        let value = item.as_value_mut()?;
        let decor = value.decor().clone();
        *value = Value::from(word);
        *value.decor_mut() = decor;
        return Some(document.to_string());
    }
    if let Some(changed) = uncommented(text, table, name, word) {
        return Some(changed);
    }
    let within = document.entry(table).or_insert(Item::Table(Table::new()));
    within.as_table_like_mut()?.insert(name, Item::Value(Value::from(word)));
    Some(document.to_string())
}

/// The text with the comment `# name = …` of this table in force.
fn uncommented(text: &str, table: &str, name: &str, word: &str) -> Option<String> {
    let (header, start) = (format!("[{table}]"), format!("# {name} = "));
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let first = lines.iter().position(|line| line.trim() == header)? + 1;
    let within = lines.iter().skip(first).take_while(|line| !line.starts_with('['));
    let at = first + within.into_iter().position(|line| line.starts_with(&start))?;
    lines[at] = format!("{name} = \"{word}\"");
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::{ENGINE_KEY, template};
    use super::*;

    #[test]
    fn an_entry_changes_where_it_stands_and_all_else_stays() {
        let set = |text: &str| set_word(text, ENGINE_KEY, "redb").unwrap();
        let fresh = template(&[]);
        let changed = set(&fresh);
        assert_eq!(changed, fresh.replace("# engine = \"sled\"", "engine = \"redb\""));
        assert_ne!(changed, fresh);
        let own =
            "# mine\n[store]\ncache_mib = 64 # small\nengine  =  \"sled\" # why not\n[sync]\n";
        assert_eq!(set(own), own.replace("\"sled\"", "\"redb\""));
        assert_eq!(set("store.engine = \"sled\"\n"), "store.engine = \"redb\"\n");
        assert_eq!(set("name = \"a\"\n"), "name = \"a\"\n\n[store]\nengine = \"redb\"\n");
        assert_eq!(
            set("[store]\ncache_mib = 64\n\n# next\n[sync]\n"),
            "[store]\ncache_mib = 64\nengine = \"redb\"\n\n# next\n[sync]\n"
        );
        assert_eq!(set_word("store = 7", ENGINE_KEY, "redb"), None);
        assert_eq!(set_word("[", ENGINE_KEY, "redb"), None);
    }
}
