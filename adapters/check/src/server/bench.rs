//! What all cases use: connections to the server, and the dialogue up to TLS.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::ClientConfig;

use super::ServerTest;
use super::catalogue::Test;
use crate::dialect::{Answer, Ask, Dialect, Peer};
use crate::exchange::Exchange;
use crate::judge::judge;
use crate::link::{Broken, Kept, Link};
use crate::report::Verdict;
use crate::text::excerpt;
use crate::trust::credulous;

/// Within this time everything comes that a server sends without being asked.
pub(crate) const QUIET: Duration = Duration::from_millis(300);

/// Why a dialogue does not get as far as the case needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    doing: &'static str,
    why: String,
}

impl Trouble {
    pub(crate) fn new(doing: &'static str, why: impl fmt::Display) -> Self {
        Self { doing, why: why.to_string() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.why)
    }
}

/// The server and its protocol.
pub(crate) struct Bench<'a> {
    pub(crate) test: &'a ServerTest,
    pub(crate) dialect: &'static dyn Dialect,
    exchanges: RefCell<Vec<Kept>>,
    unwelcome: Cell<bool>,
}

/// A fresh connection whose greeting and first answer are known.
pub(crate) struct Open {
    pub(crate) link: Link,
    pub(crate) greeting: Vec<u8>,
    pub(crate) hello: Vec<u8>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(test: &'a ServerTest) -> Self {
        let dialect = test.dialect;
        Self { test, dialect, exchanges: RefCell::default(), unwelcome: Cell::new(false) }
    }

    /// The record of the connections since the last call.
    pub(crate) fn take_exchanges(&self) -> Vec<Exchange> {
        let kept = self.exchanges.take();
        let copy = |kept: &Kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        kept.iter().map(copy).collect()
    }

    /// Runs a case as often as its verdict needs.
    pub(crate) fn judge(&self, test: &Test) -> ((Verdict, String), Vec<Exchange>) {
        let play = || {
            let seen = (test.run)(self).map_err(|trouble| trouble.to_string());
            (seen, self.take_exchanges())
        };
        let control = || {
            let clean = self.control_upgrade().map_err(|trouble| trouble.to_string());
            drop(self.take_exchanges());
            clean
        };
        judge(test.case.level, play, control)
    }

    /// Whether the server said that it serves us no more.
    pub(crate) const fn is_unwelcome(&self) -> bool {
        self.unwelcome.get()
    }

    /// Connects, after a pause.
    pub(crate) fn connect(&self) -> Result<Link, Trouble> {
        self.connect_to(self.test.address)
    }

    pub(crate) fn connect_to(&self, address: std::net::SocketAddr) -> Result<Link, Trouble> {
        thread::sleep(self.test.pause);
        let link = Link::connect(address, self.test.patience)
            .map_err(|why| Trouble::new("connecting", why))?;
        self.exchanges.borrow_mut().push(link.kept());
        Ok(link)
    }

    /// Connects and reads the greeting.
    pub(crate) fn greeted(&self) -> Result<(Link, Vec<u8>), Trouble> {
        let mut link = self.connect()?;
        let mut greeting = Vec::new();
        if self.dialect.greets() {
            greeting = self.hear(&mut link, Ask::Greeting, "the greeting")?;
            let meaning = self.dialect.meaning(Ask::Greeting, &greeting);
            if meaning != Answer::Yes {
                return Err(Trouble::new("the greeting", excerpt(&greeting)));
            }
        }
        Ok((link, greeting))
    }

    /// Connects, reads the greeting, and asks what the server offers.
    pub(crate) fn open(&self) -> Result<Open, Trouble> {
        let (mut link, greeting) = self.greeted()?;
        let hello = match self.bytes(&link, Ask::Hello) {
            Some(_) => self.asked(&mut link, Ask::Hello, "the first command")?,
            None => Vec::new(),
        };
        Ok(Open { link, greeting, hello })
    }

    /// What the dialect has to know of a connection.
    fn peer<'l>(&'l self, said: &'l [u8]) -> Peer<'l> {
        Peer { name: &self.test.domain, said }
    }

    /// The bytes of a question, if the protocol has it.
    pub(crate) fn bytes(&self, link: &Link, ask: Ask) -> Option<Vec<u8>> {
        self.dialect.ask(ask, &self.peer(link.said()))
    }

    /// Reads an answer within a time.
    pub(crate) fn heard(
        &self,
        link: &mut Link,
        ask: Ask,
        patience: Duration,
    ) -> Result<Vec<u8>, Broken> {
        let unasked = |bytes: &[u8]| self.dialect.unasked_len(bytes);
        let whole = |said: &[u8], bytes: &[u8]| {
            let skipped = unasked(bytes);
            let rest = bytes.get(skipped..).unwrap_or_default();
            self.dialect.answer_len(ask, &self.peer(said), rest).map(|length| skipped + length)
        };
        let mut answer = link.hear(patience, whole)?;
        answer.drain(..unasked(&answer).min(answer.len()));
        Ok(answer)
    }

    /// Reads an answer.
    pub(crate) fn hear(
        &self,
        link: &mut Link,
        ask: Ask,
        doing: &'static str,
    ) -> Result<Vec<u8>, Trouble> {
        let answer = self.heard(link, ask, self.test.patience);
        let answer = answer.map_err(|why| Trouble::new(doing, why))?;
        // In each protocol with codes it means that the service ends.
        if answer.starts_with(b"421") {
            self.unwelcome.set(true);
        }
        Ok(answer)
    }

    /// Sends a question that the protocol has.
    pub(crate) fn send(
        &self,
        link: &mut Link,
        ask: Ask,
        doing: &'static str,
    ) -> Result<(), Trouble> {
        let bytes = self.bytes(link, ask).unwrap_or_default();
        link.send(&bytes).map_err(|why| Trouble::new(doing, why))
    }

    /// Asks, and reads the answer.
    pub(crate) fn asked(
        &self,
        link: &mut Link,
        ask: Ask,
        doing: &'static str,
    ) -> Result<Vec<u8>, Trouble> {
        self.send(link, ask, doing)?;
        self.hear(link, ask, doing)
    }

    /// A client for this protocol that takes every certificate.
    pub(crate) fn tls(&self) -> Result<Arc<ClientConfig>, Trouble> {
        // ALPN is for implicit TLS, and never necessary after an upgrade.
        credulous(None).map_err(|why| Trouble::new("TLS", why))
    }

    /// The handshake.
    pub(crate) fn secure(&self, link: &mut Link) -> Result<(), Broken> {
        let config = self.tls().map_err(|trouble| Broken::Tls(trouble.to_string()))?;
        link.secure(&config, self.test.name.clone(), self.test.patience)
    }

    /// A connection inside TLS. Where the server speaks first there, its greeting has been read.
    pub(crate) fn upgraded(&self) -> Result<Link, Trouble> {
        let mut link = self.open()?.link;
        self.upgrade(&mut link)?;
        Ok(link)
    }

    /// Upgrades a connection.
    pub(crate) fn upgrade(&self, link: &mut Link) -> Result<(), Trouble> {
        let answer = self.asked(link, Ask::Upgrade, "the request for TLS")?;
        if self.dialect.meaning(Ask::Upgrade, &answer) != Answer::Yes {
            return Err(Trouble::new("the request for TLS", excerpt(&answer)));
        }
        self.secure(link).map_err(|why| Trouble::new("the handshake", why))?;
        self.greeted_inside(link)
    }

    /// Reads what the server says first inside TLS, if its protocol says so.
    pub(crate) fn greeted_inside(&self, link: &mut Link) -> Result<(), Trouble> {
        self.greeting_inside(link).map(drop)
    }

    /// The same; empty where the client speaks first.
    pub(crate) fn greeting_inside(&self, link: &mut Link) -> Result<Vec<u8>, Trouble> {
        if self.dialect.greets_inside(&self.peer(link.said())) {
            return self.hear(link, Ask::Greeting, "the greeting inside TLS");
        }
        Ok(Vec::new())
    }

    /// The clean dialogue up to the offer. Returns whether TLS is offered; a protocol that does not tell offers it.
    pub(crate) fn control_dialogue(&self) -> Result<bool, Trouble> {
        let open = self.open()?;
        let offers = self.dialect.offers_tls(&open.greeting, &open.hello);
        self.leave(open.link);
        Ok(offers != Some(false))
    }

    /// The whole clean dialogue.
    pub(crate) fn control_upgrade(&self) -> Result<(), Trouble> {
        let mut link = self.upgraded()?;
        let answer = self.asked(&mut link, Ask::Inside, "the first command inside TLS")?;
        match self.dialect.meaning(Ask::Inside, &answer) {
            Answer::Yes => {
                self.leave(link);
                Ok(())
            }
            _ => Err(Trouble::new("the first command inside TLS", excerpt(&answer))),
        }
    }

    /// Says goodbye and closes.
    pub(crate) fn leave(&self, mut link: Link) {
        if let Some(goodbye) = self.bytes(&link, Ask::Quit)
            && link.send(&goodbye).is_ok()
        {
            let _ = self.heard(&mut link, Ask::Quit, QUIET);
        }
        link.close();
    }
}
