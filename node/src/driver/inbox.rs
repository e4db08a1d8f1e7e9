//! What waits for the driver: events of the transport and requests of clients, in turns.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::committer::Written;
use super::reader::{Queue, Waiting};
use crate::handle::Command;
use crate::replica::event::{RosterRefusal, StoreFault, WriteRefusal};

pub(super) enum Input {
    Transport(Waiting),
    Command(Command),
    /// The committer is done with a batch.
    Written(Written),
    Deadline,
}

/// Why there is no next input.
pub(super) enum End {
    /// The node is to stop.
    Stop,
    /// The committer is gone, which has a defect.
    Defect,
}

pub(super) struct Inbox {
    pub(super) transport: Queue,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) written: mpsc::Receiver<Written>,
    pub(super) stopped: oneshot::Receiver<()>,
    /// Whether a command is looked for first. The two take turns: neither a peer that sends without
    /// end nor a client that writes without end keeps the other waiting.
    pub(super) commands_first: bool,
}

impl Inbox {
    /// Waits for the next input. Without `room` for more work only the committer is heard, and the time.
    pub(super) async fn next(&mut self, wait: Duration, room: bool) -> Result<Input, End> {
        if !matches!(self.stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            return Err(End::Stop);
        }
        if !self.is_written()
            && room
            && let Some(input) = self.waiting()
        {
            return Ok(input);
        }
        tokio::select! {
            biased;
            _ = &mut self.stopped => Err(End::Stop),
            written = self.written.recv() => written.map(Input::Written).ok_or(End::Defect),
            Some(waiting) = self.transport.recv(), if room => Ok(Input::Transport(waiting)),
            Some(command) = self.commands.recv(), if room => Ok(Input::Command(command)),
            () = tokio::time::sleep(wait) => Ok(Input::Deadline),
        }
    }

    /// Whether the committer has something to say.
    pub(super) fn is_written(&self) -> bool {
        !self.written.is_empty()
    }

    /// Whether neither a peer nor a client waits.
    pub(super) fn is_idle(&self) -> bool {
        self.transport.is_empty() && self.commands.is_empty()
    }

    /// Answers the requests that were never looked at: surely nothing of theirs was done.
    pub(super) fn turn_away(&mut self, why: &StoreFault) {
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Write(_, reply) => {
                    drop(reply.send(Err(WriteRefusal::Store(why.clone()))));
                }
                Command::AdoptRoster(_, reply) => {
                    drop(reply.send(Err(RosterRefusal::Store(why.clone()))));
                }
                // Who waits sees that nobody answers any more.
                Command::AwaitSites { .. } => {}
            }
        }
    }

    /// What waits already.
    pub(super) fn waiting(&mut self) -> Option<Input> {
        self.commands_first = !self.commands_first;
        let mut event = || self.transport.try_recv().map(Input::Transport);
        let mut command = || self.commands.try_recv().map(Input::Command).ok();
        if self.commands_first { command().or_else(event) } else { event().or_else(command) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crdt_model::policy::Policy;
    use tokio::sync::watch;

    use super::*;
    use crate::driver::reader::Readers;
    use crate::driver::{COMMAND_INBOX, TRANSPORT_INBOX};
    use crate::replica::event::{LinkId, StoreFaultKind};
    use crate::store::StoreError;
    use crate::transport::TransportEvent;

    /// An inbox in which so many events of peers and requests of clients wait.
    async fn inbox(events: usize, requests: usize) -> Inbox {
        let (to_transport, transport) = mpsc::channel(TRANSPORT_INBOX);
        let (to_commands, commands) = mpsc::channel(COMMAND_INBOX);
        let (running, stopped) = oneshot::channel::<()>();
        for bytes in 0..events {
            let sent = TransportEvent::Sent { link: LinkId(1), bytes };
            to_transport.send(sent).await.unwrap();
        }
        for _ in 0..requests {
            let (reply, _) = oneshot::channel();
            to_commands.send(Command::AdoptRoster(Vec::new(), reply)).await.unwrap();
        }
        let (to_written, written) = mpsc::channel(1);
        let (_, policy) = watch::channel(Arc::new(Policy::built_in()));
        let transport = Queue::new(transport, Readers::start(&policy).unwrap());
        // The senders live as long as the test.
        std::mem::forget((to_transport, to_commands, to_written, running));
        Inbox { transport, commands, written, stopped, commands_first: false }
    }

    /// A request that waits in the inbox is not done, and its client learns why.
    #[tokio::test]
    async fn who_was_not_looked_at_is_told_what_ended_the_node() {
        let full = StoreError::Full { dir: "/data".into() };
        // A path with the words of another fault is no such fault.
        let other = StoreError::Denied { dir: "/no space left/is full".into(), reason: "x".into() };
        for (why, kind) in [
            (StoreFault::from(&full), StoreFaultKind::Full),
            (StoreFault::from(&other), StoreFaultKind::Failed),
            (StoreFault::stopping(), StoreFaultKind::Stopping),
        ] {
            let mut waiting = inbox(0, 0).await;
            let (commands, queue) = mpsc::channel(2);
            waiting.commands = queue;
            let (reply, answer) = oneshot::channel();
            commands.send(Command::AdoptRoster(Vec::new(), reply)).await.unwrap();
            waiting.turn_away(&why);
            let refusal = answer.await.unwrap().unwrap_err();
            assert!(
                matches!(&refusal, RosterRefusal::Store(fault) if fault.kind == kind),
                "{refusal:?}"
            );
        }
    }

    const fn is_command(input: Option<&Input>) -> Option<bool> {
        match input {
            Some(input) => Some(matches!(input, Input::Command(_))),
            None => None,
        }
    }

    #[tokio::test]
    async fn peers_and_clients_take_turns() {
        let mut inbox = inbox(20, 10).await;
        let mut commands = 0;
        for _ in 0..10 {
            let first = is_command(inbox.next(Duration::ZERO, true).await.ok().as_ref());
            commands += usize::from(first == Some(true));
            commands += usize::from(is_command(inbox.waiting().as_ref()) == Some(true));
        }
        assert_eq!(commands, 10);
        // What is left is taken, whoever it is from, and then the time passes.
        for _ in 0..10 {
            assert_eq!(is_command(inbox.waiting().as_ref()), Some(false));
        }
        assert!(inbox.waiting().is_none());
        assert!(matches!(inbox.next(Duration::ZERO, true).await, Ok(Input::Deadline)));
    }
    #[tokio::test]
    async fn without_room_the_committer_is_heard_and_nobody_else() {
        let mut inbox = inbox(1, 1).await;
        let (to_written, written) = mpsc::channel(1);
        inbox.written = written;
        assert!(matches!(inbox.next(Duration::ZERO, false).await, Ok(Input::Deadline)));
        to_written.send((Ok(()), Vec::new())).await.unwrap();
        let next = inbox.next(Duration::ZERO, true).await;
        assert!(matches!(next, Ok(Input::Written((Ok(()), _)))));
        assert!(!inbox.is_idle());
        drop(to_written);
        assert!(matches!(inbox.next(Duration::ZERO, false).await, Err(End::Defect)));
    }
}
