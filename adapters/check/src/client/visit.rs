//! One connection of a client to a server of ours.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use crate::dialect::{Dialect, Reply, Served, Service, Setup};
use crate::hello;
use crate::link::{Broken, Kept, Link};

/// Within this time a client that believes to have an answer goes on.
pub(crate) const HASTE: Duration = Duration::from_millis(400);

/// What a server does that it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attack {
    /// What it offers, and how it greets.
    pub(crate) setup: Setup,
    /// What it answers to the request for TLS.
    pub(crate) reply: Reply,
    /// Where the planted replies go.
    pub(crate) plant: Plant,
    /// What it does after the go-ahead.
    pub(crate) then: Then,
    /// Whether the first request inside TLS waits for its answer for [`HASTE`].
    pub(crate) hesitate: bool,
    /// Whether the connection is cut instead of that answer.
    pub(crate) cut: bool,
}

/// Where an attacker's replies stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    Nowhere,
    /// In the segment of the go-ahead.
    SameSegment,
    /// In a segment right after it.
    NextSegment,
    /// A millisecond later.
    Later,
    /// Not these, but a greeting inside TLS, where the client speaks first.
    GreetingInside,
    /// The go-ahead itself, before the request for TLS: with the answer before it.
    GoAheadEarly,
}

/// The behaviour of the server after the go-ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Handshake,
    /// A fatal alert.
    Alert,
    /// The planted replies instead of a ServerHello.
    Plaintext,
    /// A ServerHello of SSL 3.
    OldVersion,
    Silence,
    /// The connection ends instead of a reply to the request.
    Close,
}

impl Attack {
    /// None.
    pub(crate) const CLEAN: Self = Self {
        setup: Setup::CLEAN,
        reply: Reply::GoAhead,
        plant: Plant::Nowhere,
        then: Then::Handshake,
        hesitate: true,
        cut: false,
    };
}

/// What a client did on one connection.
#[derive(Clone, Default)]
pub(crate) struct Visit {
    /// The record.
    pub(crate) kept: Kept,
    /// All that it sent before TLS.
    pub(crate) plaintext: Vec<u8>,
    /// How often it asked for TLS before TLS.
    pub(crate) asked: usize,
    /// The go-ahead was sent before the request.
    pub(crate) planted_early: bool,
    /// A ClientHello came where the server had not given the go-ahead.
    pub(crate) hello_unasked: bool,
    /// How the handshake ended, if it began.
    pub(crate) handshake: Option<Result<(), String>>,
    /// What it answered to an old version.
    pub(crate) after_old_version: Option<Result<Vec<u8>, Broken>>,
    /// Its requests inside TLS, in order.
    pub(crate) inside: Vec<Vec<u8>>,
    /// Inside TLS it sent another request before the first one was answered.
    pub(crate) hasty: bool,
    /// It asked for TLS inside TLS.
    pub(crate) asked_inside: bool,
    /// It used a login that was offered only before TLS.
    pub(crate) stale_login: bool,
    /// How the connection ended.
    pub(crate) end: Option<Broken>,
}

impl Visit {
    /// Whether it waited for the server for as long as the server did for it.
    pub(crate) const fn was_silent(&self) -> bool {
        self.asked > 0 && matches!(self.end, Some(Broken::Silent(_)))
    }

    /// Whether TLS is up.
    pub(crate) fn is_secured(&self) -> bool {
        matches!(self.handshake, Some(Ok(())))
    }
}

/// What a server of ours has for its connections.
pub(crate) struct Host<'a> {
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) attack: &'a Attack,
    pub(crate) tls: &'a Arc<ServerConfig>,
    pub(crate) patience: Duration,
}

impl Host<'_> {
    /// Serves one connection to its end.
    pub(crate) fn serve(&self, mut link: Link) -> Visit {
        let mut visit = Visit { kept: link.kept(), ..Visit::default() };
        let mut service = self.dialect.service(self.attack.setup);
        let end = self.dialogue(&mut link, service.as_mut(), &mut visit);
        visit.plaintext = link.said().to_vec();
        if !link.inside() {
            visit.plaintext.extend_from_slice(link.unread());
        }
        visit.stale_login = service.used_stale_login();
        visit.end = end.err();
        link.close();
        visit
    }

    fn dialogue(
        &self,
        link: &mut Link,
        service: &mut dyn Service,
        visit: &mut Visit,
    ) -> Result<(), Broken> {
        let greeting = service.greeting(false);
        if !greeting.is_empty() {
            link.send(&greeting)?;
        }
        loop {
            let Some(request) = self.request(link, service, visit)? else { return Ok(()) };
            match service.serve(&request, false) {
                Served::Answer(answer) => {
                    let early = self.early(service, &answer);
                    visit.planted_early |= early.is_some();
                    link.send(&[answer, early.unwrap_or_default()].concat())?;
                }
                Served::Close(answer) => return link.send(&answer),
                Served::Upgrade => {
                    visit.asked += 1;
                    if self.upgrade(link, service, &request, visit)? {
                        return self.inside(link, service, visit);
                    }
                }
            }
        }
    }

    /// The next request; `None` if a ClientHello comes instead.
    fn request(
        &self,
        link: &mut Link,
        service: &mut dyn Service,
        visit: &mut Visit,
    ) -> Result<Option<Vec<u8>>, Broken> {
        let inside = link.inside();
        let is_hello = |bytes: &[u8]| !inside && matches!(bytes, [22, 3, ..]);
        let whole = |_: &[u8], bytes: &[u8]| {
            if is_hello(bytes) { Some(0) } else { service.request_len(bytes) }
        };
        let request = link.hear(self.patience, whole)?;
        if is_hello(link.unread()) && request.is_empty() {
            visit.hello_unasked = true;
            return Ok(None);
        }
        Ok(Some(request))
    }

    /// The go-ahead that is sent together with the offer, before the client has requested TLS.
    fn early(&self, service: &dyn Service, answer: &[u8]) -> Option<Vec<u8>> {
        let wanted = self.attack.plant == Plant::GoAheadEarly;
        let is_offer = || self.dialect.offers_tls(answer, answer) == Some(true);
        if wanted && is_offer() { service.early_go_ahead() } else { None }
    }

    /// Answers the request for TLS. Whether TLS is up then.
    fn upgrade(
        &self,
        link: &mut Link,
        service: &mut dyn Service,
        request: &[u8],
        visit: &mut Visit,
    ) -> Result<bool, Broken> {
        if self.attack.then == Then::Close {
            return Err(Broken::Closed);
        }
        if self.attack.plant == Plant::GoAheadEarly {
            let early = link.hear(HASTE, |_, bytes| (!bytes.is_empty()).then_some(0));
            if early.is_ok() && link.unread().first() == Some(&22) {
                visit.hello_unasked = true;
                return Err(Broken::Closed);
            }
        }
        let Some(mut reply) = service.reply(self.attack.reply, request) else {
            return Err(Broken::Closed);
        };
        let planted = service.planted().unwrap_or_default();
        if self.attack.plant == Plant::SameSegment {
            reply.extend_from_slice(&planted);
        }
        if !reply.is_empty() {
            link.send(&reply)?;
        }
        match self.attack.plant {
            Plant::NextSegment => link.send(&planted)?,
            Plant::Later => {
                std::thread::sleep(Duration::from_millis(1));
                link.send(&planted)?;
            }
            _ => {}
        }
        if self.attack.reply != Reply::GoAhead {
            return Ok(false);
        }
        let hello = |link: &mut Link| {
            link.hear(self.patience, |_, bytes| (bytes.len() > 5).then_some(0)).map(drop)
        };
        match self.attack.then {
            Then::Handshake => {}
            Then::Close => return Err(Broken::Closed),
            Then::Silence => {
                return Err(link.hear(self.patience, |_, _| None).err().unwrap_or(Broken::Closed));
            }
            Then::Alert => {
                hello(link)?;
                link.take(usize::MAX);
                link.send_raw(&hello::ALERT, "an alert instead of a ServerHello")?;
                visit.handshake = Some(Err("an alert".to_owned()));
                return Ok(false);
            }
            Then::Plaintext => {
                hello(link)?;
                link.take(usize::MAX);
                link.send(&[&reply[..], &planted].concat())?;
                visit.handshake = Some(Err("plaintext".to_owned()));
                return Ok(false);
            }
            Then::OldVersion => {
                hello(link)?;
                link.take(usize::MAX);
                link.send_raw(&hello::old_server(), "a ServerHello of SSL 3")?;
                let after = link.anything(HASTE * 2);
                visit.after_old_version = Some(after);
                return Err(Broken::Closed);
            }
        }
        let first = match self.attack.plant {
            Plant::GreetingInside => self.dialect.service(Setup::CLEAN).greeting(false),
            _ => Vec::new(),
        };
        let shaken = link.secure_server(self.tls, &first, self.patience);
        visit.handshake = Some(shaken.clone().map_err(|why| why.to_string()));
        shaken.map(|()| true)
    }

    fn inside(
        &self,
        link: &mut Link,
        service: &mut dyn Service,
        visit: &mut Visit,
    ) -> Result<(), Broken> {
        service.forget();
        let greeting = service.greeting(true);
        if !greeting.is_empty() {
            link.send(&greeting)?;
        }
        loop {
            let Some(request) = self.request(link, service, visit)? else { return Ok(()) };
            visit.inside.push(request.clone());
            if visit.inside.len() == 1 {
                if self.attack.cut {
                    return Err(Broken::Closed);
                }
                if self.attack.hesitate {
                    let more = link.hear(HASTE, |_, bytes| (!bytes.is_empty()).then_some(0));
                    visit.hasty = more.is_ok();
                }
            }
            match service.serve(&request, true) {
                Served::Answer(answer) if answer.is_empty() => {}
                Served::Answer(answer) => link.send(&answer)?,
                Served::Close(answer) => return link.send(&answer),
                Served::Upgrade => {
                    visit.asked_inside = true;
                    let refused = service.reply(Reply::No, &request).ok_or(Broken::Closed)?;
                    link.send(&refused)?;
                }
            }
        }
    }
}
