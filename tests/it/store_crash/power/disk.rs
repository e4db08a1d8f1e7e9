//! What a power cut may leave of the files that a process wrote.
//!
//! A file keeps what it held when it was last made durable (fsync), a directory the names that it had
//! then; of everything later the disk may have taken any part, in any order, by sectors. This is what
//! POSIX permits; file systems promise more. Names of one directory are kept all as they were made
//! durable, or all as they are: a file system's journal keeps them in order.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use crate::numbers::Numbers;

/// What a process did to a file or a directory.
pub(super) enum Event {
    Create { path: String, inode: u64, emptied: bool },
    Write { inode: u64, offset: usize, bytes: Vec<u8> },
    Truncate { inode: u64, length: usize },
    Rename { from: String, to: String },
    Unlink { path: String },
    MakeDir { path: String },
    RemoveDir { path: String },
    Sync { inode: u64 },
    SyncNames { path: String },
}

impl Event {
    /// Reads the entries of `trace.c`.
    pub(super) fn read_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(25);
            let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
            let length = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
            let (first, rest) = rest.split_at(usize::try_from(length(17)).unwrap());
            let (second, rest) = rest.split_at(usize::try_from(length(21)).unwrap());
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let (inode, offset) = (number(1), usize::try_from(number(9)).unwrap());
            bytes = rest;
            events.push(match head[0] {
                b'C' => Self::Create { path: text(first), inode, emptied: offset == 1 },
                b'W' => Self::Write { inode, offset, bytes: second.to_vec() },
                b'T' => Self::Truncate { inode, length: offset },
                b'R' => Self::Rename { from: text(first), to: text(second) },
                b'U' => Self::Unlink { path: text(first) },
                b'M' => Self::MakeDir { path: text(first) },
                b'D' => Self::RemoveDir { path: text(first) },
                b'S' => Self::Sync { inode },
                b'N' => Self::SyncNames { path: text(first) },
                other => panic!("no entry is of kind {other}"),
            });
        }
        events
    }

    /// Whether the disk holds more for certain afterwards.
    pub(super) const fn is_sync(&self) -> bool {
        matches!(self, Self::Sync { .. } | Self::SyncNames { .. })
    }
}

/// How much of what was not made durable is there after the cut.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    /// Nothing.
    Nothing,
    /// Everything: the process died, not the machine.
    Everything,
    /// Parts that the number decides.
    Parts(u64),
}

#[derive(Clone, Copy, PartialEq)]
enum Node {
    File(usize),
    Dir(usize),
}

type Names = BTreeMap<String, Node>;

#[derive(Default)]
struct Dir {
    now: Names,
    durable: Names,
}

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

#[derive(Default)]
struct File {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// The files below one directory.
pub(super) struct Disk {
    dirs: Vec<Dir>,
    files: Vec<File>,
    inodes: HashMap<u64, usize>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self { dirs: vec![Dir::default()], files: Vec::new(), inodes: HashMap::new() }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Create { path, inode, emptied } => self.create(path, *inode, *emptied),
            Event::Write { inode, offset, bytes } => {
                self.change(*inode, Change::Write(*offset, bytes.clone()));
            }
            Event::Truncate { inode, length } => self.change(*inode, Change::Truncate(*length)),
            Event::Rename { from, to } => {
                let moved = self.names(from).remove(name(from)).unwrap();
                self.names(to).insert(name(to).to_owned(), moved);
            }
            Event::Unlink { path } | Event::RemoveDir { path } => {
                self.names(path).remove(name(path));
            }
            Event::MakeDir { path } => {
                self.dirs.push(Dir::default());
                let made = Node::Dir(self.dirs.len() - 1);
                self.names(path).insert(name(path).to_owned(), made);
            }
            Event::Sync { inode } => {
                let file = &mut self.files[self.inodes[inode]];
                file.durable.clone_from(&file.now);
                file.pending.clear();
            }
            Event::SyncNames { path } => {
                let dir = self.dir(path);
                let dir = &mut self.dirs[dir];
                dir.durable.clone_from(&dir.now);
            }
        }
    }

    fn create(&mut self, path: &str, inode: u64, emptied: bool) {
        let known = self.inodes.get(&inode).copied();
        let here = self.names(path).get(name(path)).copied();
        if known.is_none() || here != known.map(Node::File) {
            // A new file, maybe with the number of one that is gone.
            self.files.push(File::default());
            self.inodes.insert(inode, self.files.len() - 1);
            let made = Node::File(self.files.len() - 1);
            self.names(path).insert(name(path).to_owned(), made);
        } else if emptied {
            self.change(inode, Change::Truncate(0));
        }
    }

    fn change(&mut self, inode: u64, change: Change) {
        let file = &mut self.files[self.inodes[&inode]];
        change.apply(&mut file.now, |_| true);
        file.pending.push(change);
    }

    /// The directory of this path; the empty path is the whole.
    fn dir(&self, path: &str) -> usize {
        path.split('/').filter(|part| !part.is_empty()).fold(0, |dir, part| {
            match self.dirs[dir].now.get(part) {
                Some(Node::Dir(found)) => *found,
                _ => panic!("{path} is no directory"),
            }
        })
    }

    /// The names beside the one that the path ends with.
    fn names(&mut self, path: &str) -> &mut Names {
        let dir = self.dir(path.rsplit_once('/').map_or("", |(dir, _)| dir));
        &mut self.dirs[dir].now
    }

    /// What the file holds now, if there is one.
    pub(super) fn now(&self, path: &str) -> Option<&[u8]> {
        let dir = self.dir(path.rsplit_once('/').map_or("", |(dir, _)| dir));
        match self.dirs[dir].now.get(name(path))? {
            Node::File(file) => Some(&self.files[*file].now),
            Node::Dir(_) => None,
        }
    }

    /// Writes what a cut leaves into an empty directory.
    pub(super) fn cut(&self, kept: Kept, into: &Path) {
        let mut numbers = Numbers::new(match kept {
            Kept::Nothing | Kept::Everything => 0,
            Kept::Parts(seed) => seed,
        });
        self.cut_dir(0, kept, &mut numbers, into);
    }

    fn cut_dir(&self, dir: usize, kept: Kept, numbers: &mut Numbers, into: &Path) {
        let dir = &self.dirs[dir];
        let names = match kept {
            Kept::Nothing => &dir.durable,
            Kept::Everything => &dir.now,
            Kept::Parts(_) if numbers.one_in(2) => &dir.now,
            Kept::Parts(_) => &dir.durable,
        };
        for (name, node) in names {
            let path = into.join(name);
            match node {
                Node::File(file) => {
                    fs::write(path, self.files[*file].cut(kept, numbers)).unwrap();
                }
                Node::Dir(below) => {
                    fs::create_dir(&path).unwrap();
                    self.cut_dir(*below, kept, numbers, &path);
                }
            }
        }
    }
}

impl File {
    fn cut(&self, kept: Kept, numbers: &mut Numbers) -> Vec<u8> {
        match kept {
            Kept::Nothing => self.durable.clone(),
            Kept::Everything => self.now.clone(),
            Kept::Parts(_) => {
                let of_ten = [1, 5, 9][numbers.index(3)];
                let mut left = self.durable.clone();
                for change in &self.pending {
                    change.apply(&mut left, |_| numbers.below(10) < of_ten);
                }
                left
            }
        }
    }
}

/// What a disk writes in one piece, in bytes.
const SECTOR: usize = 512;

impl Change {
    /// Does the change to a file, but only the sectors that are kept.
    fn apply(&self, file: &mut Vec<u8>, mut keep: impl FnMut(usize) -> bool) {
        match self {
            Self::Truncate(length) => {
                if keep(0) {
                    file.resize(*length, 0);
                }
            }
            Self::Write(offset, bytes) => {
                let mut at = *offset;
                let end = offset + bytes.len();
                while at < end {
                    let next = (at / SECTOR + 1) * SECTOR;
                    let next = next.min(end);
                    if keep(at) {
                        if file.len() < next {
                            file.resize(next, 0);
                        }
                        file[at..next].copy_from_slice(&bytes[at - offset..next - offset]);
                    }
                    at = next;
                }
            }
        }
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
