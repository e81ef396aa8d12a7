//! Octets from here to there and back, with each direction ending on its own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::DerefMut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ConnectionCommon, SideData, StreamOwned};
use starttls_std::split;

/// How long a direction may be silent.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// When the peer said something last, so that whoever wants to leave can wait for silence.
#[derive(Debug)]
pub(crate) struct Pulse {
    last: Mutex<Instant>,
    leaving: AtomicBool,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new(Instant::now()), leaving: AtomicBool::new(false) }
    }

    pub(crate) fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns when there was silence for `duration`; we leave then.
    pub(crate) fn wait(&self, duration: Duration) {
        self.beat();
        loop {
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match duration.saturating_sub(last.elapsed()) {
                Duration::ZERO => break,
                left => thread::sleep(left),
            }
        }
        self.leaving.store(true, Ordering::Release);
    }

    /// How the peer's direction ended: without TLS's goodbye only if we left first.
    pub(crate) fn judge(&self, outcome: io::Result<()>) -> io::Result<()> {
        match outcome {
            Err(error)
                if error.kind() == ErrorKind::UnexpectedEof
                    && self.leaving.load(Ordering::Acquire) =>
            {
                Ok(())
            }
            other => other,
        }
    }
}

/// Copies until the end and hands each piece on at once.
pub(crate) fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    mut on_piece: impl FnMut(),
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                on_piece();
                to.write_all(piece.get(..length).unwrap_or_default())?;
                to.flush()?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Forwards between a plaintext connection and a TLS stream. The end of the plaintext closes the
/// TLS side after `linger` of silence.
pub(crate) fn pipe<C, D>(
    plaintext: &TcpStream,
    tls: StreamOwned<C, TcpStream>,
    linger: Duration,
) -> io::Result<()>
where
    C: DerefMut<Target = ConnectionCommon<D>> + Send,
    D: SideData,
{
    let socket = tls.sock.try_clone()?;
    let (mut read, mut write) = split(tls)?;
    let pulse = Pulse::new();
    both(
        plaintext,
        &socket,
        |mut from| {
            copy(&mut from, &mut write, || {})?;
            pulse.wait(linger);
            unless_gone(write.finish())
        },
        |mut to| pulse.judge(copy(&mut read, &mut to, || pulse.beat())),
    )
}

fn finish(socket: &TcpStream) -> io::Result<()> {
    unless_gone(socket.shutdown(Shutdown::Write))
}

/// Who left already needs no goodbye.
fn unless_gone(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
        other => other,
    }
}

/// Runs both directions to their ends. If one breaks, the other is ended, too.
fn both<'a>(
    here: &'a TcpStream,
    there: &TcpStream,
    outward: impl FnOnce(&'a TcpStream) -> io::Result<()> + Send,
    homeward: impl FnOnce(&'a TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    for socket in [here, there] {
        socket.set_read_timeout(Some(IDLE))?;
        socket.set_write_timeout(Some(IDLE))?;
    }
    let give_up = |outcome: &io::Result<()>| {
        if outcome.is_err() {
            let _ = here.shutdown(Shutdown::Both);
            let _ = there.shutdown(Shutdown::Both);
        }
    };
    thread::scope(|scope| {
        let outward = scope.spawn(|| {
            let outcome = outward(here);
            give_up(&outcome);
            outcome
        });
        let homeward = homeward(here).and_then(|()| finish(here));
        give_up(&homeward);
        let outward = outward.join().unwrap_or_else(|_| Err(io::Error::other("a thread broke")));
        homeward.and(outward)
    })
}
