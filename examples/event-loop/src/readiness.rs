//! The loop over readiness: mio tells which sockets would not block.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::Instant;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::crowd::{Crowd, Member};
use crate::link::{Failure, Need};

const LISTENER: Token = Token(usize::MAX);

/// Runs all connections to their ends.
pub(crate) fn run(
    crowd: &mut Crowd<'_, TcpStream>,
    stops: impl Fn() -> bool,
) -> Result<(), Failure> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let address = listener.local_addr()?;
    let mut events = Events::with_capacity(1024);
    while !crowd.is_over() {
        while crowd.wants_client() {
            let key = crowd.add_client(TcpStream::connect(address)?);
            register(&poll, crowd, key)?;
        }
        let wait = crowd.deadline().map(|end| end.saturating_duration_since(Instant::now()));
        match poll.poll(&mut events, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            polled => polled?,
        }
        let now = Instant::now();
        for token in events.iter().map(mio::event::Event::token) {
            if token == LISTENER {
                while let Some((socket, _)) = unless_blocked(listener.accept())? {
                    let key = crowd.add_server(socket);
                    register(&poll, crowd, key)?;
                }
            } else {
                advance(crowd, token.0, now);
            }
        }
        while let Some(key) = crowd.due(now) {
            advance(crowd, key, now);
        }
        if stops() {
            crowd.stop();
        }
        for key in crowd.begin() {
            advance(crowd, key, now);
        }
    }
    Ok(())
}

fn register(poll: &Poll, crowd: &mut Crowd<'_, TcpStream>, key: usize) -> io::Result<()> {
    let Some(Member { io: socket, .. }) = crowd.get(key) else { return Ok(()) };
    socket.set_nodelay(true)?;
    poll.registry().register(socket, Token(key), Interest::READABLE | Interest::WRITABLE)
}

fn advance(crowd: &mut Crowd<'_, TcpStream>, key: usize, now: Instant) {
    let Some(member) = crowd.get(key) else { return };
    match drive(member, now) {
        Ok(true) => crowd.note_deadline(key),
        Ok(false) => crowd.remove(key),
        Err(error) => {
            eprintln!("a connection failed: {error}");
            crowd.remove(key);
        }
    }
}

/// Returns `false` when the connection is over.
///
/// The poll reports only changes, so only a socket that would block, or another connection's turn, may stop this before
/// the end.
fn drive(member: &mut Member<'_, TcpStream>, now: Instant) -> Result<bool, Failure> {
    loop {
        let need = member.peer.go_on(now);
        // Even after a failure: the output may contain a farewell.
        let flushed = flush(member)?;
        match need? {
            Need::Read if receive(member)? => {}
            Need::Write if flushed => {}
            Need::End => return Ok(!flushed),
            _ => return Ok(true),
        }
    }
}

/// Returns `false` if no input is available.
fn receive(member: &mut Member<'_, TcpStream>) -> io::Result<bool> {
    let received = unless_blocked(member.io.read(member.peer.receive_buffer()))?;
    received.into_iter().for_each(|n| member.peer.received(n));
    Ok(received.is_some())
}

/// Returns `false` if not everything could be sent.
fn flush(member: &mut Member<'_, TcpStream>) -> io::Result<bool> {
    while !member.peer.to_send().is_empty() {
        match unless_blocked(member.io.write(member.peer.to_send()))? {
            None => return Ok(false),
            Some(n) => member.peer.sent(n),
        }
    }
    Ok(true)
}

/// `None` if the socket would block.
fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        result => result.map(Some),
    }
}
