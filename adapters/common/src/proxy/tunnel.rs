use std::fmt;
use std::time::Duration;

use starttls::{Error, Machine, Step};
use zeroize::Zeroizing;

use super::{http, socks};

/// How long a proxy may take for each of its replies: it looks up and connects meanwhile.
const WAIT: Duration = Duration::from_secs(60);

/// The longest reply: the head of a response of HTTP, in bytes.
const MAX_REPLY: usize = 16 * 1024;

/// The longest request, in bytes.
const MAX_REQUEST: usize = 2 * 1024;

/// A client's dialogue with a proxy, up to the first byte of the server.
pub(super) struct Tunnel {
    stage: Stage,
    failed: Option<Error>,
}

enum Stage {
    /// Sends the request; then its reply is read.
    Send(Zeroizing<Vec<u8>>, Await),
    Read(Await),
    Open,
}

enum Await {
    Http,
    Socks(socks::Requests),
}

/// What a proxy says in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply<'i> {
    /// The following bytes are the server's.
    Open,
    /// There was no login, or it is wrong.
    NeedsLogin,
    /// Any other reply code of SOCKS5 (RFC 1928 §6).
    Socks(u8),
    /// The status code and reason of a response of HTTP.
    Http(&'i [u8]),
}

impl Tunnel {
    pub(super) fn socks(mut requests: socks::Requests) -> Self {
        let first = requests.first();
        Self { stage: Stage::Send(first, Await::Socks(requests)), failed: None }
    }

    pub(super) const fn http(request: Zeroizing<Vec<u8>>) -> Self {
        Self { stage: Stage::Send(request, Await::Http), failed: None }
    }

    fn advance<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Reply<'i>>, Error> {
        loop {
            match &mut self.stage {
                Stage::Send(request, _) => {
                    let length = request.len();
                    let room = output.get_mut(..length);
                    let room = room.ok_or(Error::OutputTooSmall { needed: length })?;
                    room.copy_from_slice(request);
                    let Stage::Send(_, reply) = std::mem::replace(&mut self.stage, Stage::Open)
                    else {
                        return Err(Error::OutOfOrder);
                    };
                    self.stage = Stage::Read(reply);
                    return Ok(Step::Write(length));
                }
                Stage::Read(Await::Http) => match http::reply(input)? {
                    None => return Ok(Step::Read),
                    Some(reply) => {
                        self.stage = Stage::Open;
                        return Ok(Step::Event(reply));
                    }
                },
                Stage::Read(Await::Socks(requests)) => match requests.reply(input)? {
                    None => return Ok(Step::Read),
                    Some(socks::Next::Done(reply)) => {
                        self.stage = Stage::Open;
                        return Ok(Step::Event(reply));
                    }
                    Some(socks::Next::Send(request)) => {
                        let reply = std::mem::replace(&mut self.stage, Stage::Open);
                        if let Stage::Read(reply) = reply {
                            self.stage = Stage::Send(request, reply);
                        }
                    }
                },
                Stage::Open => return Ok(Step::Read),
            }
        }
    }
}

impl Machine for Tunnel {
    type Event<'i> = Reply<'i>;

    const MAX_INPUT: usize = MAX_REPLY;
    const MAX_OUTPUT: usize = MAX_REQUEST;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Self::Event<'i>>, Error> {
        match self.failed {
            Some(error) => Err(error),
            None => self.advance(input, output).inspect_err(|error| {
                self.failed = Some(*error).filter(|error| !error.is_ours());
            }),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        Err(*self.failed.get_or_insert(Error::Closed))
    }

    fn timed_out(&mut self) -> Error {
        *self.failed.get_or_insert(Error::TimedOut)
    }

    fn wait(&self) -> Option<Duration> {
        matches!(self.stage, Stage::Read(_)).then_some(WAIT)
    }

    fn is_secret(&self) -> bool {
        true
    }
}

impl fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("the proxy connected"),
            Self::NeedsLogin => f.write_str("the proxy demands a login, or refuses this one"),
            Self::Socks(reply) => write!(f, "the proxy refused: {}", socks::meaning(*reply)),
            Self::Http(status) => write!(f, "the proxy refused: {}", status.escape_ascii()),
        }
    }
}
