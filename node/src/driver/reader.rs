//! The threads that read ahead: while the driver handles one frame, they do of those that wait behind it
//! whatever needs neither replica nor store. One for each core, up to a few.
//!
//! Whoever comes first does the work: a frame whose turn has come before it was read is handled as it
//! is. So nobody waits for a turn of a reader, only for one that has begun, and short frames never go through their hands.

use std::collections::VecDeque;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as sync};
use std::thread::{self, JoinHandle};

use crdt_model::policy::Policy;
use tokio::sync::{mpsc, watch};

use crate::replica::ahead::{Ahead, Ground};
use crate::replica::event::{Event, LinkId};
use crate::transport::TransportEvent;

/// Bytes from which a frame is worth another thread: a commit or two of one client are below it.
const LONG: usize = 16 << 10;
/// Long frames that are read ahead at most, by all together: what was read takes ten times the memory of
/// the frame.
const AHEAD: usize = 6;
/// Events taken out of the transport's inbox to look for long frames.
const LOOKED_AT: usize = 2 * AHEAD;
/// Threads at most: with so many, what is left for the driver takes longer.
const READERS_MAX: usize = 4;

/// Those who read the frames of one driver.
pub(super) struct Readers {
    jobs: sync::Sender<Job>,
    threads: Vec<JoinHandle<()>>,
}

/// A long frame and who waits for it.
struct Job {
    frame: Arc<Frame>,
    tell: sync::SyncSender<Ahead>,
}

/// A long frame that somebody works on, or nobody yet.
struct Frame {
    bytes: Vec<u8>,
    is_taken: AtomicBool,
}

impl Frame {
    /// Whether the caller is the first to ask: then it is for it to work on.
    fn take(&self) -> bool {
        !self.is_taken.swap(true, Ordering::AcqRel)
    }
}

impl Readers {
    /// Starts the threads; what they find stands on the policy of the time.
    pub(super) fn start(policy: &watch::Receiver<Arc<Policy>>) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let (jobs, queue) = sync::channel();
        let queue = Arc::new(Mutex::new(queue));
        let start = |_| {
            let (queue, policy) = (Arc::clone(&queue), policy.clone());
            let named = thread::Builder::new().name("reader".to_owned());
            named.spawn(move || work(&queue, &policy))
        };
        let threads = (0..cores.min(READERS_MAX)).map(start).collect::<io::Result<_>>()?;
        Ok(Self { jobs, threads })
    }

    /// Waits for their end.
    pub(super) fn join(self) {
        drop(self.jobs);
        if self.threads.into_iter().any(|thread| thread.join().is_err()) {
            tracing::error!("a reader ended by a defect");
        }
    }
}

/// Reads one frame after the other until there is nobody to ask for more.
fn work(queue: &Mutex<sync::Receiver<Job>>, policy: &watch::Receiver<Arc<Policy>>) {
    let mut ground = Ground::of(Arc::clone(&policy.borrow()));
    // It is held while one of them waits for the next frame, and never while a frame is read.
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { frame, tell }) = next() {
        if frame.take() {
            ground = follow(ground, &policy.borrow());
            // Whoever asked may be gone.
            drop(tell.send(Ahead::read(&frame.bytes, &ground)));
        }
    }
}

/// The ground of the policy that is in force now.
fn follow(ground: Ground, policy: &Arc<Policy>) -> Ground {
    if Arc::ptr_eq(ground.policy(), policy) { ground } else { Ground::of(Arc::clone(policy)) }
}

/// An event of the transport that waits for its turn.
pub(super) enum Waiting {
    /// As it came.
    Event(TransportEvent),
    /// A long frame.
    Frame(LongFrame),
}

/// A long frame that waits for its turn.
pub(super) struct LongFrame {
    link: LinkId,
    frame: Arc<Frame>,
    read: sync::Receiver<Ahead>,
}

impl From<Waiting> for Event {
    fn from(waiting: Waiting) -> Self {
        match waiting {
            Waiting::Event(event) => event.into(),
            Waiting::Frame(long) => long.into(),
        }
    }
}

impl From<LongFrame> for Event {
    /// Its turn has come: waits for the reader that has begun.
    fn from(LongFrame { link, frame, read }: LongFrame) -> Self {
        // A reader that ended by a defect leaves the frame as it was.
        let read = if frame.take() { None } else { read.recv().ok() };
        match read {
            Some(read) => Self::Read { link, read: Box::new(read) },
            None => Self::Frame { link, bytes: frame.bytes.clone() },
        }
    }
}

/// The events of the transport in their order, the next of them read ahead.
pub(super) struct Queue {
    events: mpsc::Receiver<TransportEvent>,
    readers: Readers,
    next: VecDeque<Waiting>,
    /// How many of those are long.
    long: usize,
}

impl Queue {
    pub(super) const fn new(events: mpsc::Receiver<TransportEvent>, readers: Readers) -> Self {
        Self { events, readers, next: VecDeque::new(), long: 0 }
    }

    /// Waits for the next event; none when the transport is gone.
    pub(super) async fn recv(&mut self) -> Option<Waiting> {
        if let Some(waiting) = self.try_recv() {
            return Some(waiting);
        }
        self.events.recv().await.map(Waiting::Event)
    }

    /// The next event, if one waits.
    pub(super) fn try_recv(&mut self) -> Option<Waiting> {
        self.look_ahead();
        let waiting = self.next.pop_front()?;
        self.long -= usize::from(matches!(waiting, Waiting::Frame(_)));
        Some(waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty() && self.events.is_empty()
    }

    /// Gives the readers what has come meanwhile, as far as there is room for what they find.
    fn look_ahead(&mut self) {
        while self.long < AHEAD && self.next.len() < LOOKED_AT {
            let Ok(event) = self.events.try_recv() else { return };
            let waiting = self.wait(event);
            self.long += usize::from(matches!(waiting, Waiting::Frame(_)));
            self.next.push_back(waiting);
        }
    }

    fn wait(&self, event: TransportEvent) -> Waiting {
        let TransportEvent::Frame { link, peer, bytes } = event else {
            return Waiting::Event(event);
        };
        if bytes.len() < LONG {
            return Waiting::Event(TransportEvent::Frame { link, peer, bytes });
        }
        let frame = Arc::new(Frame { bytes, is_taken: AtomicBool::new(false) });
        let (tell, read) = sync::sync_channel(1);
        // Without a reader the frame is handled as it is.
        drop(self.readers.jobs.send(Job { frame: Arc::clone(&frame), tell }));
        Waiting::Frame(LongFrame { link, frame, read })
    }

    /// Ends the readers. What they have not begun to read nobody needs.
    pub(super) fn end(self) {
        for waiting in &self.next {
            if let Waiting::Frame(long) = waiting {
                long.frame.take();
            }
        }
        self.readers.join();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A queue of these events.
    fn queue(events: Vec<TransportEvent>) -> Queue {
        let (to_queue, waiting) = mpsc::channel(events.len() + 1);
        events.into_iter().for_each(|event| to_queue.try_send(event).unwrap());
        let (_, policy) = watch::channel(Arc::new(Policy::built_in()));
        Queue::new(waiting, Readers::start(&policy).unwrap())
    }

    fn frame(link: u64, length: usize) -> TransportEvent {
        let peer = crate::replica::node_id::NodeId::from_bytes([1; 32]);
        // No frame at all: whoever reads it says so.
        TransportEvent::Frame { link: LinkId(link), peer, bytes: vec![0; length] }
    }

    #[test]
    fn events_keep_their_order_and_none_is_lost() {
        let sent = |bytes| TransportEvent::Sent { link: LinkId(0), bytes };
        let events: Vec<_> = (0..12)
            .flat_map(|n| [frame(2 * n, LONG), sent(1), frame(2 * n + 1, LONG - 1)])
            .collect();
        let mut queue = queue(events);
        for n in 0..12 {
            let (next, expected): (Event, _) = (queue.try_recv().unwrap().into(), LinkId(2 * n));
            let is_whole =
                |link: &LinkId, bytes: &Vec<u8>| *link == expected && bytes.len() == LONG;
            let is_next = matches!(&next, Event::Read { link, .. } if *link == expected)
                || matches!(&next, Event::Frame { link, bytes } if is_whole(link, bytes));
            assert!(is_next);
            assert!(matches!(queue.try_recv().unwrap().into(), Event::Sent { .. }));
            let short: Event = queue.try_recv().unwrap().into();
            assert!(matches!(short, Event::Frame { link, .. } if link == LinkId(2 * n + 1)));
            assert!(queue.long <= AHEAD);
        }
        assert!(queue.try_recv().is_none() && queue.is_empty());
        queue.end();
    }

    #[test]
    fn what_waits_is_read_by_the_thread() {
        let mut queue = queue(vec![frame(1, LONG), frame(2, LONG)]);
        queue.look_ahead();
        let is_read = |waiting: &Waiting| match waiting {
            Waiting::Frame(long) => long.frame.is_taken.load(Ordering::Acquire),
            Waiting::Event(_) => false,
        };
        while !queue.next.iter().all(is_read) {
            thread::sleep(Duration::from_millis(1));
        }
        for _ in 0..2 {
            assert!(matches!(queue.try_recv().unwrap().into(), Event::Read { .. }));
        }
        queue.end();
    }

    #[test]
    fn a_frame_outlives_a_reader_that_ended() {
        let mut queue = queue(vec![frame(1, LONG), frame(2, LONG)]);
        let (jobs, nobody) = sync::channel();
        drop(nobody);
        drop(std::mem::replace(&mut queue.readers.jobs, jobs));
        assert!(matches!(queue.try_recv().unwrap().into(), Event::Frame { .. }));
        // It ended in the middle of its work.
        let Some(Waiting::Frame(long)) = queue.try_recv() else { panic!("no long frame") };
        long.frame.is_taken.store(true, Ordering::Release);
        assert!(matches!(long.into(), Event::Frame { bytes, .. } if bytes.len() == LONG));
        queue.end();
    }
}
