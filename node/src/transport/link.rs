//! One link: a task that reads and writes frames on one connection, and the handle that feeds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use quinn::{Connection, ConnectionError, ReadError, VarInt, WriteError};
use tokio::sync::mpsc;

use super::frame::{self, FrameError};
use super::{LinkId, LinkStats, TransportEvent};
use crate::replica::node_id::NodeId;

// Application error codes: why a link was closed, for the peer. The reason goes along as text.
/// The driver closed it.
pub(super) const CLOSED: VarInt = VarInt::from_u32(0);
/// The node shuts down.
pub(super) const SHUTDOWN: VarInt = VarInt::from_u32(1);
/// The peer is not a member, or not any more.
pub(super) const NOT_A_MEMBER: VarInt = VarInt::from_u32(2);
/// The peer has enough links already.
pub(super) const TOO_MANY_LINKS: VarInt = VarInt::from_u32(3);
/// The peer sent a frame that is too long, cut off or in an unknown format.
const BAD_FRAME: VarInt = VarInt::from_u32(4);
/// This side went over one of its own bounds.
const OVER_BOUND: VarInt = VarInt::from_u32(5);

/// What a queued frame counts beyond its bytes, so that empty frames are bounded too.
const FRAME_OVERHEAD: usize = 64;

/// Longest text of a peer that is repeated in a reason.
const PEER_TEXT_MAX: usize = 200;

/// The wish to close a link.
#[derive(Debug)]
pub(super) struct Closing {
    code: VarInt,
    reason: String,
}

impl Closing {
    pub(super) fn new(code: VarInt, reason: &str) -> Self {
        Self { code, reason: reason.to_owned() }
    }
}

/// What a link has done so far; written by its task, read by anyone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    queued: AtomicUsize,
    sent: AtomicU64,
    received: AtomicU64,
}

/// The bounds of one link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) frame_max: usize,
    pub(super) queue_max: usize,
    pub(super) opening_timeout: Duration,
}

/// The near end of a link: how the driver's thread reaches its task.
#[derive(Debug)]
pub(super) struct LinkHandle {
    pub(super) peer: NodeId,
    connection: Connection,
    frames: mpsc::UnboundedSender<Vec<u8>>,
    closing: mpsc::Sender<Closing>,
    counters: Arc<Counters>,
    bounds: Bounds,
}

impl LinkHandle {
    /// Queues a frame, or closes the link if the frame is over a bound.
    pub(super) fn send(&self, frame: Vec<u8>) -> Result<(), ()> {
        let length = frame.len();
        if length > self.bounds.frame_max {
            let max = self.bounds.frame_max;
            self.close(Closing {
                code: OVER_BOUND,
                reason: format!("a frame of {length} bytes is over the limit of {max}"),
            });
            return Err(());
        }
        let weight = length.saturating_add(FRAME_OVERHEAD);
        let waiting = self.counters.queued.fetch_add(weight, Ordering::Relaxed);
        if waiting.saturating_add(weight) > self.bounds.queue_max {
            self.close(Closing {
                code: OVER_BOUND,
                reason: format!("the peer reads too slowly: {waiting} bytes wait for it"),
            });
            return Err(());
        }
        self.frames.send(frame).map_err(|_| ())
    }

    /// Asks the task to close. The first reason wins.
    pub(super) fn close(&self, closing: Closing) {
        // No room means that another wish is there; no receiver, that the link is over.
        drop(self.closing.try_send(closing));
    }

    pub(super) fn stats(&self, link: LinkId) -> LinkStats {
        let quic = self.connection.stats();
        LinkStats {
            link,
            peer: self.peer,
            payload_sent: self.counters.sent.load(Ordering::Relaxed),
            payload_received: self.counters.received.load(Ordering::Relaxed),
            udp_sent: quic.udp_tx.bytes,
            udp_received: quic.udp_rx.bytes,
            rtt: quic.path.rtt,
        }
    }
}

/// The far end: the task of a link, before it runs.
#[derive(Debug)]
pub(super) struct Link {
    id: LinkId,
    peer: NodeId,
    dialed: bool,
    connection: Connection,
    frames: mpsc::UnboundedReceiver<Vec<u8>>,
    closing: mpsc::Receiver<Closing>,
    counters: Arc<Counters>,
    bounds: Bounds,
}

/// Both ends of a link over a connection whose peer proved its key.
pub(super) fn new(
    id: LinkId,
    peer: NodeId,
    dialed: bool,
    connection: Connection,
    bounds: Bounds,
) -> (LinkHandle, Link) {
    let (frames, frames_out) = mpsc::unbounded_channel();
    let (closing, closing_out) = mpsc::channel(1);
    let counters = Arc::new(Counters::default());
    let handle = LinkHandle {
        peer,
        connection: connection.clone(),
        frames,
        closing,
        counters: Arc::clone(&counters),
        bounds,
    };
    let (frames, closing) = (frames_out, closing_out);
    (handle, Link { id, peer, dialed, connection, frames, closing, counters, bounds })
}

/// How a link came to its end.
struct Ending {
    /// What to tell the peer; nothing if the connection is dead already.
    tell: Option<VarInt>,
    reason: String,
}

/// The driver's inbox, as a link sees it.
struct Inbox<E>(mpsc::Sender<E>);

impl<E: From<TransportEvent>> Inbox<E> {
    /// Waits for room; this is what slows a peer down. A driver that is gone hears nothing more.
    async fn tell(&self, event: TransportEvent) {
        drop(self.0.send(event.into()).await);
    }
}

impl Link {
    /// Runs the link until its end. Gives its name back, so that the table can forget it.
    pub(super) async fn run<E>(self, events: mpsc::Sender<E>) -> LinkId
    where
        E: From<TransportEvent> + Send + 'static,
    {
        let Self { id: link, peer, dialed, connection, mut frames, mut closing, counters, bounds } =
            self;
        let inbox = Inbox(events);
        let mut up = false;
        let ending = {
            let reader =
                Reader { link, peer, dialed, connection: &connection, counters: &counters, bounds };
            let writer = transmit(link, &connection, &mut frames, &counters, &inbox);
            tokio::select! {
                Some(Closing { code, reason }) = closing.recv() => {
                    Ending { tell: Some(code), reason }
                }
                ending = reader.run(&inbox, &mut up) => ending,
                ending = writer => ending,
            }
        };
        // From here on `send` says that the link is gone.
        drop(frames);
        if let Some(code) = ending.tell {
            connection.close(code, ending.reason.as_bytes());
        }
        drop(connection);
        let reason = ending.reason;
        inbox.tell(TransportEvent::LinkDown { link, peer, reason: reason.clone() }).await;
        if dialed && !up {
            inbox.tell(TransportEvent::DialFailed { peer, reason }).await;
        }
        link
    }
}

/// The reading half of a link.
struct Reader<'a> {
    link: LinkId,
    peer: NodeId,
    dialed: bool,
    connection: &'a Connection,
    counters: &'a Counters,
    bounds: Bounds,
}

impl Reader<'_> {
    /// Announces the link and hands each frame to the driver, waiting for room. Sets `up` when the
    /// peer has shown that it accepts us.
    async fn run<E: From<TransportEvent>>(self, inbox: &Inbox<E>, up: &mut bool) -> Ending {
        let Self { link, peer, dialed, connection, .. } = self;
        let rtt = connection.rtt();
        let remote = super::registry::canonical(connection.remote_address());
        let link_up = TransportEvent::LinkUp { link, peer, dialed, remote, rtt };
        let opening = async {
            let mut stream = connection.accept_uni().await.map_err(ReadError::ConnectionLost)?;
            frame::read_opening(&mut stream).await?;
            Ok(stream)
        };
        let opened = if dialed {
            // The peer opens its stream only after it accepted our key.
            inbox.tell(TransportEvent::LinkSecured { link, peer }).await;
            let opened = tokio::time::timeout(self.bounds.opening_timeout, opening).await;
            opened.unwrap_or(Err(FrameError::Silent))
        } else {
            // To accept a connection is to have seen its key.
            *up = true;
            inbox.tell(link_up.clone()).await;
            opening.await
        };
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(error) => return ending_of(connection, error),
        };
        self.counters.received.fetch_add(1, Ordering::Relaxed);
        if dialed {
            *up = true;
            inbox.tell(link_up).await;
        }
        loop {
            match frame::read(&mut stream, self.bounds.frame_max).await {
                Ok(Some(bytes)) => {
                    count(&self.counters.received, frame::HEADER + bytes.len());
                    inbox.tell(TransportEvent::Frame { link, peer, bytes }).await;
                }
                Ok(None) => {
                    let reason = "the peer ended its stream".to_owned();
                    return Ending { tell: Some(CLOSED), reason };
                }
                Err(error) => return ending_of(connection, error),
            }
        }
    }
}

/// Opens our stream and writes what is queued, one frame after the other.
async fn transmit<E: From<TransportEvent>>(
    link: LinkId,
    connection: &Connection,
    frames: &mut mpsc::UnboundedReceiver<Vec<u8>>,
    counters: &Counters,
    inbox: &Inbox<E>,
) -> Ending {
    let mut stream = match connection.open_uni().await {
        Ok(stream) => stream,
        Err(error) => return lost(&error),
    };
    if let Err(error) = stream.write_all(&[frame::OPENING]).await {
        return unwritten(error);
    }
    counters.sent.fetch_add(1, Ordering::Relaxed);
    while let Some(bytes) = frames.recv().await {
        let length = bytes.len();
        if let Err(error) = frame::write(&mut stream, bytes).await {
            return unwritten(error);
        }
        counters.queued.fetch_sub(length + FRAME_OVERHEAD, Ordering::Relaxed);
        count(&counters.sent, frame::HEADER + length);
        inbox.tell(TransportEvent::Sent { link, bytes: length }).await;
    }
    // Nobody holds the handle any more: the transport is gone.
    Ending { tell: Some(SHUTDOWN), reason: "the node shuts down".to_owned() }
}

fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}

fn ending_of(connection: &Connection, error: FrameError) -> Ending {
    match error {
        FrameError::Read(ReadError::ConnectionLost(error)) => lost(&error),
        FrameError::Read(ReadError::Reset(_)) => {
            Ending { tell: Some(CLOSED), reason: "the peer gave its stream up".to_owned() }
        }
        error @ (FrameError::TooLong { .. }
        | FrameError::Truncated
        | FrameError::Silent
        | FrameError::Opening(_)
        | FrameError::Read(_)) => match connection.close_reason() {
            Some(error) => lost(&error),
            None => Ending { tell: Some(BAD_FRAME), reason: error.to_string() },
        },
    }
}

fn unwritten(error: WriteError) -> Ending {
    match error {
        WriteError::ConnectionLost(error) => lost(&error),
        WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            Ending { tell: Some(CLOSED), reason: "the peer reads no more".to_owned() }
        }
    }
}

fn lost(error: &ConnectionError) -> Ending {
    Ending { tell: None, reason: describe(error) }
}

/// Why a connection ended, for a person.
pub(super) fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::TimedOut => "no answer: the peer or the way to it is down".to_owned(),
        ConnectionError::Reset => "the peer has restarted".to_owned(),
        ConnectionError::LocallyClosed => "the node shuts down".to_owned(),
        ConnectionError::ApplicationClosed(close) => {
            format!("closed by the peer: {}", peer_text(&close.reason))
        }
        ConnectionError::ConnectionClosed(close) => {
            format!("refused by the peer: {}", peer_text(&close.reason))
        }
        ConnectionError::VersionMismatch => "the peer speaks another version of QUIC".to_owned(),
        ConnectionError::TransportError(error) => format!("protocol error: {error}"),
        ConnectionError::CidsExhausted => "too many connections at once".to_owned(),
    }
}

/// Why somebody who called did not come as far as proving a key, for a person.
pub(super) fn describe_caller(error: &ConnectionError) -> String {
    let words = match error {
        ConnectionError::ConnectionClosed(close) => &close.reason,
        ConnectionError::ApplicationClosed(close) => &close.reason,
        ConnectionError::TimedOut
        | ConnectionError::Reset
        | ConnectionError::LocallyClosed
        | ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::CidsExhausted => return describe(error),
    };
    format!("the caller broke the handshake off: {}", peer_text(words))
}

/// A text of the peer, short and without control characters: it goes to logs and consoles.
fn peer_text(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text: String = text
        // What rustls puts before the words of our own verifier.
        .trim_start_matches("other error: ")
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(PEER_TEXT_MAX)
        .collect();
    if text.trim().is_empty() { "no reason given".to_owned() } else { text }
}
