//! A socket of which the system does one receive and one send at a time.

use std::fmt::Display;
use std::io;
use std::mem::take;
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::time::Instant;

use io_uring::types::Fd;
use socket2::Socket;

use crate::link::{Need, Peer};

pub(crate) struct Wire {
    socket: Socket,
    pub(crate) connecting: bool,
    pub(crate) receiving: bool,
    /// What the system is sending; empty if it sends nothing.
    pub(crate) sending: Vec<u8>,
    /// What was received and the machine has not taken.
    pub(crate) unread: Vec<u8>,
    /// The peer has ended its side, and the machine does not know it.
    pub(crate) ended: bool,
    /// The machine has nothing more to do: what it has written has to leave.
    ending: bool,
    /// The connection is over: it goes when the system is done with it.
    pub(crate) over: bool,
}

impl Wire {
    pub(crate) fn new(socket: Socket, connecting: bool) -> io::Result<Self> {
        socket.set_tcp_nodelay(true)?;
        let (sending, unread) = (Vec::new(), Vec::new());
        let (receiving, ended, ending, over) = (false, false, false, false);
        Ok(Self { socket, connecting, receiving, sending, unread, ended, ending, over })
    }

    pub(crate) fn fd(&self) -> Fd {
        Fd(self.socket.as_raw_fd())
    }

    /// Whether the system has work of this connection.
    pub(crate) fn is_busy(&self) -> bool {
        self.connecting || self.receiving || !self.sending.is_empty()
    }

    pub(crate) fn fail(&mut self, error: &impl Display) {
        eprintln!("a connection failed: {error}");
        self.over = true;
    }

    /// Ends what the system has not done.
    pub(crate) fn abandon(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Runs the machine as far as it goes with what was received. Returns whether it needs more.
    pub(crate) fn run(&mut self, peer: &mut dyn Peer, now: Instant) -> bool {
        let is_late = self.ending && peer.deadline().is_some_and(|deadline| deadline <= now);
        let mut reads = false;
        while !(self.over || self.connecting || self.ending) {
            self.pass(peer);
            match peer.go_on(now) {
                Ok(need) => {
                    reads = need == Need::Read;
                    self.ending = need == Need::End;
                }
                Err(error) => {
                    // The output may still contain a farewell.
                    eprintln!("a connection failed: {error}");
                    (reads, self.ending) = (false, true);
                }
            }
            if !reads || self.unread.is_empty() && !self.ended {
                break;
            }
        }
        // A peer that does not take the farewell has lost its time.
        self.over |= self.ending && (is_late || peer.to_send().is_empty());
        reads
    }

    fn pass(&mut self, peer: &mut dyn Peer) {
        if self.unread.is_empty() {
            if take(&mut self.ended) {
                peer.received(0);
            }
            return;
        }
        let room = peer.receive_buffer();
        let n = self.unread.len().min(room.len());
        room[..n].copy_from_slice(&self.unread[..n]);
        if n == self.unread.len() {
            self.unread = Vec::new();
        } else {
            self.unread.drain(..n);
        }
        peer.received(n);
    }
}
