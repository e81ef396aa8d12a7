use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::socket::{Socket, is_timeout};

/// The longest time that the operating system waits in one call, in milliseconds. A longer wait is several.
const LONGEST: u64 = 1 << 15;

/// A TCP connection or a Unix socket that only this crate uses, so that system calls can be saved on it.
///
/// Each read and each write has a time limit. The operating system is told a new one only if the one that it
/// has does not fit, which is about once a connection and direction.
#[derive(Debug)]
pub struct Exclusive {
    stream: TcpOrUnix,
    /// When a read and when a write have to end.
    until: [Option<Instant>; 2],
    /// The timeouts of the operating system for a read and for a write.
    set: [Option<Duration>; 2],
    /// Whether bytes were received and none were sent since.
    heard: bool,
}

#[derive(Debug)]
enum TcpOrUnix {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Runs `$then` with the socket as `$stream`.
macro_rules! either {
    ($socket:expr, $stream:ident => $then:expr) => {
        match $socket {
            TcpOrUnix::Tcp($stream) => $then,
            #[cfg(unix)]
            TcpOrUnix::Unix($stream) => $then,
        }
    };
}

impl From<TcpStream> for Exclusive {
    fn from(stream: TcpStream) -> Self {
        Self::new(TcpOrUnix::Tcp(stream))
    }
}

#[cfg(unix)]
impl From<UnixStream> for Exclusive {
    fn from(stream: UnixStream) -> Self {
        Self::new(TcpOrUnix::Unix(stream))
    }
}

const READ: usize = 0;
const WRITE: usize = 1;

impl Exclusive {
    const fn new(stream: TcpOrUnix) -> Self {
        Self { stream, until: [None; 2], set: [None; 2], heard: false }
    }

    /// The address of the peer; `None` for a Unix socket.
    pub(crate) fn peer_address(&self) -> Option<SocketAddr> {
        match &self.stream {
            TcpOrUnix::Tcp(stream) => stream.peer_addr().ok(),
            #[cfg(unix)]
            TcpOrUnix::Unix(_) => None,
        }
    }

    pub(crate) fn local_address(&self) -> Option<IpAddr> {
        match &self.stream {
            TcpOrUnix::Tcp(stream) => stream.local_addr().ok().map(|address| address.ip()),
            #[cfg(unix)]
            TcpOrUnix::Unix(_) => None,
        }
    }

    /// Acts until it succeeds or the time of its direction is over.
    fn act<T>(
        &mut self,
        direction: usize,
        mut act: impl FnMut(&mut TcpOrUnix) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            if let Some(until) = self.until[direction] {
                self.limit(direction, until.saturating_duration_since(Instant::now()))?;
            }
            match act(&mut self.stream) {
                Err(error) if is_timeout(&error) => match self.until[direction] {
                    Some(until) if until <= Instant::now() => return Err(error),
                    _ => {}
                },
                done => return done,
            }
        }
    }

    /// Sets the timeout of the operating system, unless it has one that fits.
    fn limit(&mut self, direction: usize, left: Duration) -> io::Result<()> {
        let fitting = fitting(left);
        if self.set[direction].is_some_and(|set| set <= left && 2 * set >= fitting) {
            return Ok(());
        }
        let timeout = Some(fitting);
        either!(&self.stream, stream => match direction {
            READ => stream.set_read_timeout(timeout),
            _ => stream.set_write_timeout(timeout),
        })?;
        self.set[direction] = Some(fitting);
        Ok(())
    }
}

/// The timeout to set if this much time is left: shorter, so that it still fits the next calls.
fn fitting(left: Duration) -> Duration {
    // A socket rejects a timeout of zero.
    let left = left.max(Duration::from_millis(1));
    if cfg!(windows) {
        // There a socket may not be used again after a timeout.
        return left;
    }
    let millis = u64::try_from(left.as_millis()).unwrap_or(LONGEST).clamp(1, LONGEST);
    Duration::from_millis(1 << millis.ilog2())
}

impl Read for Exclusive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.act(READ, |stream| either!(stream, stream => stream.read(buffer)));
        self.heard |= matches!(read, Ok(1..));
        read
    }
}

impl Write for Exclusive {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.heard = false;
        self.act(WRITE, |stream| either!(stream, stream => stream.write(octets)))
    }

    fn write_vectored(&mut self, octets: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.heard = false;
        self.act(WRITE, |stream| either!(stream, stream => stream.write_vectored(octets)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Exclusive {
    fn prepare(&self) -> io::Result<()> {
        either!(&self.stream, stream => stream.prepare())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.read(buffer).map(Some)
    }

    fn finish(&mut self) -> io::Result<()> {
        either!(&self.stream, stream => stream.shutdown(Shutdown::Write))
    }

    /// Acknowledges at once only between two reads. A write carries the acknowledgement of everything
    /// received before it. But a peer that sends its reply in parts may wait for one after the first part.
    fn acknowledge(&self) {
        if self.heard {
            either!(&self.stream, stream => stream.acknowledge());
        }
    }

    fn timeouts(&self) -> io::Result<[Option<Duration>; 2]> {
        let now = Instant::now();
        Ok(self.until.map(|until| Some(until?.saturating_duration_since(now))))
    }

    fn set_timeouts(&mut self, timeouts: [Option<Duration>; 2]) -> io::Result<()> {
        let now = Instant::now();
        if timeouts.contains(&Some(Duration::ZERO)) {
            return Err(ErrorKind::InvalidInput.into());
        }
        // A time beyond the clock's range is no limit.
        self.until = timeouts.map(|timeout| now.checked_add(timeout?));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Exclusive, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("listening");
        (stream.into(), listener.accept().expect("connected").0)
    }

    #[test]
    fn a_timeout_is_set_only_if_the_old_one_does_not_fit() {
        let (mut ours, mut theirs) = pair();
        let seconds = Duration::from_secs;
        // Waits in seconds, and the timeout that the system then has, in milliseconds.
        for (wait, system) in [
            (300, 32_768),
            (299, 32_768),
            (600, 32_768),
            (60, 32_768),
            (40, 32_768),
            (20, 16_384),
            (17, 16_384),
            (16, 8_192),
            (300, 32_768),
        ] {
            theirs.write_all(b"x").expect("room");
            ours.set_timeouts([Some(seconds(wait)); 2]).expect("a time");
            assert_eq!(ours.read(&mut [0]).expect("received"), 1);
            let set = either!(&ours.stream, stream => stream.read_timeout()).expect("a socket");
            let system = Duration::from_millis(system);
            // The operating system counts in ticks.
            assert!(set.is_some_and(|set| set.abs_diff(system) < seconds(1)), "{wait}: {set:?}");
        }
        let write = either!(&ours.stream, stream => stream.write_timeout());
        assert_eq!(write.expect("a socket"), None, "nothing was written");
    }

    /// Each call ends in time, neither much earlier nor later, whatever the system has been told.
    #[test]
    fn a_call_ends_when_its_time_is_over() {
        let (mut ours, theirs) = pair();
        for wait in [1, 50, 300].map(Duration::from_millis) {
            let start = Instant::now();
            ours.set_timeouts([Some(wait); 2]).expect("a time");
            let error = ours.read(&mut [0]).expect_err("nothing is sent");
            assert!(is_timeout(&error), "{error}");
            assert!(start.elapsed() >= wait, "{:?}", start.elapsed());
            assert!(start.elapsed() < wait + Duration::from_secs(5), "{:?}", start.elapsed());
        }
        let start = Instant::now();
        ours.set_timeouts([Some(Duration::from_millis(100)); 2]).expect("a time");
        let error = loop {
            if let Err(error) = ours.write(&[0; 65_536]) {
                break error;
            }
        };
        assert!(is_timeout(&error), "{error}");
        assert!(start.elapsed() >= Duration::from_millis(100));
        drop(theirs);
    }

    #[test]
    fn an_answer_in_parts_is_acknowledged() {
        let (mut ours, mut theirs) = pair();
        assert!(!ours.heard);
        theirs.write_all(b"xy").expect("room");
        assert_eq!(ours.read(&mut [0]).expect("received"), 1);
        assert!(ours.heard, "the rest of an answer may follow");
        ours.write_all(b"z").expect("room");
        assert!(!ours.heard, "the command acknowledges the answer");
    }
}
