//! All connections of a loop: what they have in common, whatever moves their bytes.

use std::sync::Arc;
use std::time::Instant;

use rustls::ServerConfig;
use slab::Slab;
use starttls_rustls::ClientTls;

use crate::link::{Link, Peer};
use crate::post::Post;
use crate::timers::{Timer, Timers};
use crate::{client, server};

/// How many connections may wait for the listener, whose backlog is short.
const BACKLOG: usize = 64;

/// A connection, and what the loop needs to move its bytes.
pub(crate) struct Member<'p, I> {
    pub(crate) io: I,
    pub(crate) peer: Box<dyn Peer + 'p>,
    timer: Timer,
    is_client: bool,
}

pub(crate) struct Crowd<'p, I> {
    members: Slab<Member<'p, I>>,
    timers: Timers,
    post: &'p Post,
    tls: (Arc<ServerConfig>, ClientTls),
    /// How many clients there shall be, were connected, and are left; and the accepted connections.
    wanted: usize,
    connected: usize,
    clients: usize,
    accepted: usize,
}

impl<'p, I> Crowd<'p, I> {
    pub(crate) fn new(wanted: usize, post: &'p Post, tls: (Arc<ServerConfig>, ClientTls)) -> Self {
        let (members, timers) = (Slab::new(), Timers::default());
        Self { members, timers, post, tls, wanted, connected: 0, clients: 0, accepted: 0 }
    }

    /// Whether another client may connect now.
    pub(crate) fn wants_client(&self) -> bool {
        self.connected < self.wanted.min(self.accepted + BACKLOG)
    }

    pub(crate) fn add_client(&mut self, io: I) -> usize {
        self.connected += 1;
        self.clients += 1;
        let peer = Link::boxed(client::connection(&self.tls.1, self.post));
        self.members.insert(Member { io, peer, timer: Timer::default(), is_client: true })
    }

    pub(crate) fn add_server(&mut self, io: I) -> usize {
        self.accepted += 1;
        let peer = Link::boxed(server::connection(&self.tls.0, self.post));
        self.members.insert(Member { io, peer, timer: Timer::default(), is_client: false })
    }

    pub(crate) fn get(&mut self, key: usize) -> Option<&mut Member<'p, I>> {
        self.members.get_mut(key)
    }

    /// Notes the deadline of a connection after it ran.
    pub(crate) fn note_deadline(&mut self, key: usize) {
        if let Some(member) = self.members.get_mut(key) {
            self.timers.set(key, &mut member.timer, member.peer.deadline());
        }
    }

    pub(crate) fn remove(&mut self, key: usize) {
        if let Some(member) = self.members.try_remove(key) {
            self.clients -= usize::from(member.is_client);
        }
    }

    /// Removes all connections.
    #[cfg(feature = "io-uring")]
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Member<'p, I>> {
        self.members.drain()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.connected == self.wanted && self.members.is_empty()
    }

    /// When the loop has to wake up, even if nothing is ready.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// A connection that has to run because its time is over, or to say that it is not.
    pub(crate) fn due(&mut self, now: Instant) -> Option<usize> {
        while let Some((key, deadline)) = self.timers.due(now) {
            if self.members.get_mut(key).is_some_and(|member| member.timer.is_due(deadline)) {
                return Some(key);
            }
        }
        None
    }

    /// All clients, once: when each is inside TLS and may send its first mail.
    pub(crate) fn begin(&mut self) -> Vec<usize> {
        let all = self.connected == self.wanted && self.post.up.get() >= self.clients;
        if !all || self.post.begun.get() {
            return Vec::new();
        }
        self.post.begin();
        self.members.iter().filter(|(_, member)| member.is_client).map(|(key, _)| key).collect()
    }

    /// Ends in good order: no connection and no mail begins, and each client says goodbye after its mail.
    pub(crate) fn stop(&mut self) {
        self.wanted = self.connected;
        self.post.stop();
    }
}
