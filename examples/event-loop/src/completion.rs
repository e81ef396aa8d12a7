//! The loop over completions: io_uring moves the bytes and tells what it has done.
//!
//! A receive takes a buffer of a pool only when there is something to receive, so an idle connection has none. What is
//! sent is a copy, which the system has until it has sent it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Instant;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::crowd::{Crowd, Member};
use crate::link::Failure;
use crate::wire::Wire;

/// The size of a buffer of the pool, and their number.
const PIECE: u16 = 4096;
const PIECES: u16 = 256;
const POOL: u16 = 0;

/// What a completion is of, in the lower bits of its number.
#[derive(Clone, Copy)]
enum Act {
    Accept,
    Connect,
    Receive,
    Send,
    Provide,
}

impl Act {
    const ALL: [Self; 5] = [Self::Accept, Self::Connect, Self::Receive, Self::Send, Self::Provide];

    const fn number(self, key: usize) -> u64 {
        (key as u64) << 3 | self as u64
    }

    fn of(number: u64) -> Option<(Self, usize)> {
        let act = usize::try_from(number & 7).ok().and_then(|act| Self::ALL.get(act))?;
        Some((*act, usize::try_from(number >> 3).ok()?))
    }
}

struct Ring {
    ring: IoUring,
    /// The pool's memory, which lives as long as the process: the system may write into it until the ring is gone.
    pool: *mut u8,
    /// The address of the listener, to which clients connect. As long as the process, too.
    address: &'static SockAddr,
}

/// Runs all connections to their ends.
pub(crate) fn run(crowd: &mut Crowd<'_, Wire>, stops: impl Fn() -> bool) -> Result<(), Failure> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    listener.listen(1024)?;
    let mut ring = Ring::new(&listener)?;
    ring.push(&opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build(), Act::Accept, 0)?;
    let ran = ring.turn(crowd, &listener, stops);
    // The system may still read what it is sending. A loop that failed leaves that memory to it.
    crowd
        .drain()
        .filter(|member| member.io.is_busy())
        .for_each(|member| std::mem::forget(member.io));
    ran
}

impl Ring {
    fn new(listener: &Socket) -> io::Result<Self> {
        let pool = Box::leak(vec![0; usize::from(PIECE) * usize::from(PIECES)].into_boxed_slice());
        let address = Box::leak(Box::new(listener.local_addr()?));
        let mut ring = Self { ring: IoUring::new(1024)?, pool: pool.as_mut_ptr(), address };
        ring.provide(0, PIECES)?;
        Ok(ring)
    }

    fn turn(
        &mut self,
        crowd: &mut Crowd<'_, Wire>,
        listener: &Socket,
        stops: impl Fn() -> bool,
    ) -> Result<(), Failure> {
        while !crowd.is_over() {
            while crowd.wants_client() {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                let key = crowd.add_client(Wire::new(socket, true)?);
                let fd = crowd.get(key).map(|member| member.io.fd()).ok_or("a client is lost")?;
                let (address, length) = (self.address.as_ptr().cast(), self.address.len());
                self.push(&opcode::Connect::new(fd, address, length).build(), Act::Connect, key)?;
            }
            self.wait(crowd.deadline())?;
            let now = Instant::now();
            let done: Vec<cqueue::Entry> = self.ring.completion().collect();
            for entry in done {
                let (act, key) = Act::of(entry.user_data()).ok_or("an unknown completion")?;
                self.take(crowd, listener, &entry, act, key)?;
                self.advance(crowd, key, act, now)?;
            }
            while let Some(key) = crowd.due(now) {
                self.advance(crowd, key, Act::Receive, now)?;
            }
            if stops() {
                crowd.stop();
            }
            for key in crowd.begin() {
                self.advance(crowd, key, Act::Receive, now)?;
            }
        }
        Ok(())
    }

    /// Waits for a completion, a deadline or a signal.
    fn wait(&self, deadline: Option<Instant>) -> io::Result<()> {
        let wait =
            deadline.map(|end| Timespec::from(end.saturating_duration_since(Instant::now())));
        let arguments = SubmitArgs::new();
        let waited = match &wait {
            Some(wait) => self.ring.submitter().submit_with_args(1, &arguments.timespec(wait)),
            None => self.ring.submit_and_wait(1),
        };
        match waited {
            // The deadline has passed, completions have to be taken first, or there was a signal.
            Err(error) if is(&error, &[Errno::TIME, Errno::BUSY, Errno::INTR]) => Ok(()),
            waited => waited.map(drop),
        }
    }

    /// Takes what the system has done.
    fn take(
        &mut self,
        crowd: &mut Crowd<'_, Wire>,
        listener: &Socket,
        entry: &cqueue::Entry,
        act: Act,
        key: usize,
    ) -> Result<(), Failure> {
        let result = match entry.result() {
            n if n < 0 => Err(io::Error::from_raw_os_error(-n)),
            n => Ok(usize::try_from(n).unwrap_or_default()),
        };
        if let Act::Accept = act {
            let fd = i32::try_from(result?)?;
            // SAFETY: the system has just opened this file for us, and tells it once.
            let socket = unsafe { OwnedFd::from_raw_fd(fd) };
            let key = crowd.add_server(Wire::new(socket.into(), false)?);
            if !cqueue::more(entry.flags()) {
                let again = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build();
                self.push(&again, Act::Accept, 0)?;
            }
            return self.advance(crowd, key, Act::Receive, Instant::now());
        }
        let buffer = cqueue::buffer_select(entry.flags());
        if let Some(Member { io: wire, peer, .. }) = crowd.get(key) {
            match act {
                Act::Connect => {
                    wire.connecting = false;
                    result.map_or_else(|error| wire.fail(&error), drop);
                }
                Act::Receive => {
                    wire.receiving = false;
                    match (result, buffer) {
                        (Ok(0), _) => wire.ended = true,
                        (Ok(n), Some(buffer)) => {
                            wire.unread.extend_from_slice(self.piece(buffer, n))
                        }
                        // The pool was empty: later.
                        (Err(error), _) if is(&error, &[Errno::NOBUFS]) => {}
                        (Err(error), _) => wire.fail(&error),
                        (Ok(_), None) => return Err("the system names no buffer".into()),
                    }
                }
                Act::Send => {
                    wire.sending = Vec::new();
                    result.map_or_else(|error| wire.fail(&error), |n| peer.sent(n));
                }
                Act::Accept | Act::Provide => {}
            }
        }
        if let Some(buffer) = buffer {
            self.provide(buffer, 1)?;
        }
        Ok(())
    }

    /// Runs a connection's machine as far as it goes, and gives the system its next work.
    fn advance(
        &mut self,
        crowd: &mut Crowd<'_, Wire>,
        key: usize,
        act: Act,
        now: Instant,
    ) -> Result<(), Failure> {
        if matches!(act, Act::Accept | Act::Provide) {
            return Ok(());
        }
        let Some(Member { io: wire, peer, .. }) = crowd.get(key) else { return Ok(()) };
        let reads = wire.run(peer.as_mut(), now);
        let (fd, mut work) = (wire.fd(), Vec::new());
        if wire.over {
            if wire.is_busy() {
                wire.abandon();
            } else {
                crowd.remove(key);
            }
            return Ok(());
        }
        if wire.sending.is_empty() && !wire.connecting && !peer.to_send().is_empty() {
            wire.sending.extend_from_slice(peer.to_send());
            let length = u32::try_from(wire.sending.len())?;
            work.push((opcode::Send::new(fd, wire.sending.as_ptr(), length).build(), Act::Send));
        }
        if reads && !wire.receiving {
            wire.receiving = true;
            let receive = opcode::Recv::new(fd, std::ptr::null_mut(), PIECE.into()).buf_group(POOL);
            work.push((receive.build().flags(squeue::Flags::BUFFER_SELECT), Act::Receive));
        }
        crowd.note_deadline(key);
        for (entry, act) in work {
            self.push(&entry, act, key)?;
        }
        Ok(())
    }

    /// The first bytes of a buffer of the pool, which the system has filled.
    fn piece(&self, buffer: u16, n: usize) -> &[u8] {
        assert!(buffer < PIECES && n <= PIECE.into());
        // SAFETY: inside the pool. The system has given the buffer back with this completion, and gets it again only by
        // `provide`.
        unsafe {
            std::slice::from_raw_parts(self.pool.add(usize::from(buffer) * usize::from(PIECE)), n)
        }
    }

    /// Gives buffers of the pool to the system.
    fn provide(&mut self, first: u16, count: u16) -> io::Result<()> {
        assert!(first < PIECES && count <= PIECES - first);
        let start = self.pool.wrapping_add(usize::from(first) * usize::from(PIECE));
        let entry = opcode::ProvideBuffers::new(start, PIECE.into(), count, POOL, first).build();
        self.push(&entry, Act::Provide, 0)
    }

    fn push(&mut self, entry: &squeue::Entry, act: Act, key: usize) -> io::Result<()> {
        let entry = entry.clone().user_data(act.number(key));
        // SAFETY: what the entry points at lives until its completion: the pool and the address as long as the process,
        // `sending` until `take`, or forever where the loop fails. It is not changed meanwhile.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit()?;
        }
        Ok(())
    }
}

fn is(error: &io::Error, kinds: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| kinds.contains(&errno))
}
