//! SOCKS5 (RFC 1928), with a login by user name and password (RFC 1929).

use std::io::ErrorKind;
use std::net::IpAddr;

use starttls::Error;
use zeroize::Zeroizing;

use super::tunnel::Reply;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
/// The version of the login's own negotiation.
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The requests that are left.
pub(super) struct Requests {
    login: Option<Zeroizing<Vec<u8>>>,
    connect: Vec<u8>,
    awaits: Awaits,
}

#[derive(Clone, Copy)]
enum Awaits {
    Method,
    Login,
    Connect,
}

pub(super) enum Next<'i> {
    Send(Zeroizing<Vec<u8>>),
    Done(Reply<'i>),
}

impl Requests {
    /// Host and login are checked: each has at most 255 bytes.
    pub(super) fn new(host: &str, port: u16, login: Option<(&str, &str)>) -> Self {
        let mut connect = vec![VERSION, CONNECT, 0];
        match host.parse() {
            Ok(IpAddr::V4(address)) => {
                connect.push(IPV4);
                connect.extend(address.octets());
            }
            Ok(IpAddr::V6(address)) => {
                connect.push(IPV6);
                connect.extend(address.octets());
            }
            Err(_) => {
                connect.push(NAME);
                put(&mut connect, host);
            }
        }
        connect.extend(port.to_be_bytes());
        let login = login.map(|(user, password)| {
            let mut request = Zeroizing::new(Vec::with_capacity(3 + 2 * 255));
            request.push(LOGIN_VERSION);
            put(&mut request, user);
            put(&mut request, password);
            request
        });
        Self { login, connect, awaits: Awaits::Method }
    }

    /// The methods of login.
    pub(super) fn first(&mut self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self.login {
            None => vec![VERSION, 1, NO_LOGIN],
            Some(_) => vec![VERSION, 2, NO_LOGIN, PASSWORD],
        })
    }

    /// Takes a reply; `None` if it is not complete.
    ///
    /// # Errors
    /// [`Error::Foreign`] if it is none.
    pub(super) fn reply(&mut self, input: &mut &[u8]) -> Result<Option<Next<'static>>, Error> {
        let version = match self.awaits {
            Awaits::Login => LOGIN_VERSION,
            Awaits::Method | Awaits::Connect => VERSION,
        };
        if input.first().is_some_and(|first| *first != version) {
            return Err(Error::Foreign);
        }
        let &[_, answer, ref rest @ ..] = *input else { return Ok(None) };
        let next = match (self.awaits, answer) {
            (Awaits::Method, NO_LOGIN) | (Awaits::Login, 0) => {
                self.awaits = Awaits::Connect;
                Next::Send(Zeroizing::new(self.connect.clone()))
            }
            (Awaits::Method, PASSWORD) => match self.login.take() {
                Some(login) => {
                    self.awaits = Awaits::Login;
                    Next::Send(login)
                }
                None => return Err(Error::Foreign),
            },
            (Awaits::Method, NO_METHOD) | (Awaits::Login, _) => Next::Done(Reply::NeedsLogin),
            (Awaits::Method, _) => return Err(Error::Foreign),
            (Awaits::Connect, 0) => {
                let Some(length) = bound_address(rest)? else { return Ok(None) };
                *input = &rest[length..];
                return Ok(Some(Next::Done(Reply::Open)));
            }
            (Awaits::Connect, refused) => Next::Done(Reply::Socks(refused)),
        };
        *input = rest;
        Ok(Some(next))
    }
}

fn put(request: &mut Vec<u8>, text: &str) {
    // At most 255 bytes, which the caller has checked.
    request.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    request.extend(text.bytes().take(255));
}

/// The length of the rest of a reply: a reserved byte, the proxy's address and its port.
fn bound_address(rest: &[u8]) -> Result<Option<usize>, Error> {
    let length = match *rest {
        [_, IPV4, ..] => 4,
        [_, IPV6, ..] => 16,
        [_, NAME, length, ..] => 1 + usize::from(length),
        [] | [_] | [_, NAME] => return Ok(None),
        _ => return Err(Error::Foreign),
    };
    let length = 2 + length + 2;
    Ok((rest.len() >= length).then_some(length))
}

/// The meaning of a reply code (RFC 1928 §6).
pub(super) fn meaning(reply: u8) -> String {
    match reply {
        2 => "its rules do not allow this connection".to_owned(),
        3 => "the network is unreachable".to_owned(),
        4 => "the host is unreachable".to_owned(),
        5 => "the server refused the connection".to_owned(),
        6 => "the packet's lifetime ended".to_owned(),
        7 => "it does not connect".to_owned(),
        8 => "it does not take this kind of address".to_owned(),
        _ => format!("reply code {reply}"),
    }
}

pub(super) const fn kind(reply: u8) -> ErrorKind {
    match reply {
        3 => ErrorKind::NetworkUnreachable,
        4 => ErrorKind::HostUnreachable,
        6 => ErrorKind::TimedOut,
        _ => ErrorKind::ConnectionRefused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays the replies; the requests that they cause, and the reply at the end.
    fn play(
        requests: &mut Requests,
        replies: &[u8],
    ) -> Result<(Vec<Vec<u8>>, Option<Reply<'static>>), Error> {
        let mut sent = vec![requests.first().to_vec()];
        let mut input = replies;
        while let Some(next) = requests.reply(&mut input)? {
            match next {
                Next::Send(request) => sent.push(request.to_vec()),
                Next::Done(reply) => return Ok((sent, Some(reply))),
            }
        }
        Ok((sent, None))
    }

    #[test]
    fn a_dialogue_logs_in_if_the_proxy_demands_it() {
        let login = Some(("me", "secret"));
        let connect = b"\x05\x01\x00\x03\x04mail\x02\x4b".to_vec();
        for (login, replies, sent, end) in [
            (
                None,
                &b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"[..],
                vec![b"\x05\x01\x00".to_vec(), connect.clone()],
                Some(Reply::Open),
            ),
            (
                login,
                b"\x05\x02\x01\x00\x05\x00\x00\x03\x01a\x04\x38",
                vec![
                    b"\x05\x02\x00\x02".to_vec(),
                    b"\x01\x02me\x06secret".to_vec(),
                    connect.clone(),
                ],
                Some(Reply::Open),
            ),
            (
                login,
                b"\x05\x00\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x04\x38",
                vec![b"\x05\x02\x00\x02".to_vec(), connect.clone()],
                Some(Reply::Open),
            ),
            (
                login,
                b"\x05\x02\x01\x01",
                vec![b"\x05\x02\x00\x02".to_vec(), b"\x01\x02me\x06secret".to_vec()],
                Some(Reply::NeedsLogin),
            ),
            (None, b"\x05\xff", vec![b"\x05\x01\x00".to_vec()], Some(Reply::NeedsLogin)),
            (
                None,
                b"\x05\x00\x05\x05",
                vec![b"\x05\x01\x00".to_vec(), connect.clone()],
                Some(Reply::Socks(5)),
            ),
            (
                None,
                b"\x05\x00\x05\x00\x00\x03\x02a",
                vec![b"\x05\x01\x00".to_vec(), connect.clone()],
                None,
            ),
        ] {
            let mut requests = Requests::new("mail", 587, login);
            assert_eq!(play(&mut requests, replies), Ok((sent, end)), "{}", replies.escape_ascii());
        }
        for foreign in [
            &b"220 mail"[..],
            b"\x04\x5a",
            b"\x05\x01",
            b"\x05\x02",
            b"\x05\x00\x05\x00\x00\x09",
            b"\x05\x00\x04\x00",
        ] {
            let mut requests = Requests::new("mail", 587, None);
            assert_eq!(
                play(&mut requests, foreign),
                Err(Error::Foreign),
                "{}",
                foreign.escape_ascii()
            );
        }
    }

    /// The server's first bytes may arrive with the proxy's reply.
    #[test]
    fn the_server_s_bytes_stay_unread() {
        let mut requests = Requests::new("2001:db8::1", 25, None);
        assert_eq!(&requests.connect[..4], b"\x05\x01\x00\x04");
        assert!(matches!(requests.reply(&mut &b"\x05\x00"[..]), Ok(Some(Next::Send(_)))));
        let mut input = &b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38220 ready\r\n"[..];
        assert!(matches!(requests.reply(&mut input), Ok(Some(Next::Done(Reply::Open)))));
        assert_eq!(input, b"220 ready\r\n");
    }
}
