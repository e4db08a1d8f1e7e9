//! The files of the repository as text, without what git ignores. Needs no git.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository.
pub(crate) struct Source {
    /// Where it is, from the root, with `/`.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

impl Source {
    /// Its text; none of a binary file.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// Its lines, numbered from 1; none of a binary file.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text().unwrap_or_default().lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_document(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// Whether it holds tests and nothing else.
    pub(crate) fn is_test(&self) -> bool {
        let folder = |name: &str| self.path.contains(&format!("/{name}/"));
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || folder("tests")
    }

    /// Its lines as code: without comments, the content of strings, and tests at its end.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, String)> {
        let text = self.text().unwrap_or_default();
        let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        text[..end].lines().enumerate().map(|(at, line)| (at + 1, bare(line)))
    }
}

/// A line of code without comments and without the content of strings.
fn bare(line: &str) -> String {
    let mut out = String::new();
    let mut characters = line.chars().peekable();
    let mut quoted = false;
    while let Some(c) = characters.next() {
        match c {
            '\\' if quoted => drop(characters.next()),
            '"' => quoted = !quoted,
            '/' if !quoted && characters.peek() == Some(&'/') => return out,
            _ if quoted => {}
            _ => out.push(c),
        }
    }
    out
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the repository, in the order of the paths.
pub(crate) fn sources() -> Vec<Source> {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: Vec<&str> = ignored.lines().collect();
    let mut found = Vec::new();
    walk(&root(), "", &ignored, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 100, "the repository was not found");
    found
}

/// Understands the two kinds of lines that our `.gitignore` has: `/name` and `*.ending`.
fn is_ignored(path: &str, ignored: &[&str]) -> bool {
    path == ".git"
        || ignored.iter().any(|line| match (line.strip_prefix('/'), line.strip_prefix('*')) {
            (Some(name), _) => path == name,
            (None, Some(ending)) => path.ends_with(ending),
            (None, None) => false,
        })
}

fn walk(folder: &Path, prefix: &str, ignored: &[&str], found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if is_ignored(&path, ignored) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{path}/"), ignored, found);
        } else {
            found.push(Source { bytes: fs::read(entry.path()).unwrap(), path });
        }
    }
}

#[test]
fn comments_and_strings_are_no_code() {
    assert_eq!(bare("let a = \"tokio // \\\" sled\"; // quinn"), "let a = ; ");
    assert_eq!(bare("//! Names tokio."), "");
}
