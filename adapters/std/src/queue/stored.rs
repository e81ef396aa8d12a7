//! A mail in the queue, and its file.

use std::fmt::Write as _;

use starttls::ArgumentError;
use starttls::mail::dsn::{self, Request, Return, Xtext};
use starttls::mail::{Address, Envelope};

use super::request;
use crate::{Error, Recipient};

/// The first line of each file. It changes when older programs cannot read the format.
pub(super) const FORMAT: &str = "starttls-queue 1";

/// The first line of a mail that asks for delivery reports (RFC 3461). Other mails keep [`FORMAT`], so that older
/// programs can send them.
pub(super) const WITH_REQUESTS: &str = "starttls-queue 2";

/// `ID.mail`: the envelope, an empty line, and the message. It never changes.
///
/// ```text
/// starttls-queue 2
/// since 1795262400
/// needs eight-bit utf8 tls
/// from me@example.org
/// returns headers
/// id order-7
/// to you@example.org
/// notify success failure
/// original rfc822;sales@example.org
/// to her@example.org
/// notify never
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// When it was queued, in seconds since 1970.
    pub(super) since: u64,
    /// What the envelope demands of the server.
    pub(super) needs: Needs,
    /// The sender; empty for the null path.
    pub(super) from: String,
    /// How much of the message a failure report returns, if the sender asks for it.
    pub(super) returns: Option<Return>,
    /// The sender's id of the mail for reports, in xtext.
    pub(super) id: Option<String>,
    pub(super) to: Vec<Recipient>,
    pub(super) message: Vec<u8>,
}

/// What the envelope demands of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    eight_bit: bool,
    utf8: bool,
    tls: bool,
}

impl Stored {
    pub(super) fn new(envelope: &Envelope<'_>, message: &[u8], since: u64) -> Self {
        let request = envelope.dsn();
        let to = envelope.to().iter().enumerate();
        Self {
            since,
            needs: Needs {
                eight_bit: envelope.is_eight_bit(),
                utf8: envelope.is_utf8(),
                tls: envelope.requires_tls(),
            },
            from: envelope.from().map(|from| from.as_str().to_owned()).unwrap_or_default(),
            returns: request.returns(),
            id: request.id().map(|id| id.as_str().to_owned()),
            to: to
                .map(|(place, to)| request::recipient(to.as_str(), request.recipient(place)))
                .collect(),
            message: message.to_vec(),
        }
    }

    /// The report of a failure, which no failure of its own reports.
    pub(super) fn report(to: &str, message: Vec<u8>, since: u64) -> Self {
        Self {
            since,
            needs: Needs::default(),
            from: String::new(),
            returns: None,
            id: None,
            to: vec![request::recipient(to, dsn::Recipient::NOTHING)],
            message,
        }
    }

    /// Whether the sender asks for anything about reports.
    fn has_requests(&self) -> bool {
        let of_recipient = |to: &Recipient| to.notify.is_some() || to.original.is_some();
        self.returns.is_some() || self.id.is_some() || self.to.iter().any(of_recipient)
    }

    /// What the sender asks for, with this for each recipient.
    fn request<'a>(&'a self, each: &'a [dsn::Recipient<'a>]) -> Result<Request<'a>, ArgumentError> {
        let mut request = Request::NOTHING.with_each(each);
        if let Some(returns) = self.returns {
            request = request.with_returns(returns);
        }
        self.id.as_deref().map_or(Ok(request), |id| request.with_id(Xtext::new(id)?))
    }

    /// The text before the message.
    pub(super) fn head(&self) -> String {
        let format = if self.has_requests() { WITH_REQUESTS } else { FORMAT };
        let mut head = format!("{format}\nsince {}\nneeds", self.since);
        let Needs { eight_bit, utf8, tls } = self.needs;
        for (is_needed, name) in [(eight_bit, " eight-bit"), (utf8, " utf8"), (tls, " tls")] {
            head.push_str(if is_needed { name } else { "" });
        }
        let _ = write!(head, "\nfrom {}\n", self.from);
        let mut put = |key, value: Option<&str>| {
            if let Some(value) = value {
                head.extend([key, " ", value, "\n"]);
            }
        };
        put("returns", self.returns.map(request::returns_word));
        put("id", self.id.as_deref());
        for to in &self.to {
            put("to", Some(&to.path));
            put("notify", to.notify.map(request::notify_words).as_deref());
            put("original", to.original.as_deref());
        }
        head.push('\n');
        head
    }

    /// Reads a file. `None` if it is none of these formats.
    pub(super) fn parse(file: &[u8]) -> Option<Self> {
        let end = file.windows(2).position(|two| two == b"\n\n")?;
        let mut lines = std::str::from_utf8(file.get(..end)?).ok()?.lines();
        let may_ask = match lines.next()? {
            FORMAT => false,
            WITH_REQUESTS => true,
            _ => return None,
        };
        let since = lines.next()?.strip_prefix("since ")?.parse().ok()?;
        let mut needs = Needs::default();
        for need in lines.next()?.strip_prefix("needs")?.split_ascii_whitespace() {
            match need {
                "eight-bit" => needs.eight_bit = true,
                "utf8" => needs.utf8 = true,
                "tls" => needs.tls = true,
                _ => return None,
            }
        }
        let from = lines.next()?.strip_prefix("from ")?.to_owned();
        let (mut returns, mut id, mut to) = (None, None, Vec::<Recipient>::new());
        for line in lines {
            match line.split_once(' ')? {
                ("to", path) => to.push(request::recipient(path, dsn::Recipient::NOTHING)),
                ("returns", text) if may_ask => returns = Some(request::parse_returns(text)?),
                ("id", text) if may_ask => id = Some(text.to_owned()),
                ("notify", text) if may_ask => {
                    to.last_mut()?.notify = Some(request::parse_notify(text)?);
                }
                ("original", text) if may_ask => to.last_mut()?.original = Some(text.to_owned()),
                _ => return None,
            }
        }
        let message = file.get(end + 2..)?.to_vec();
        Some(Self { since, needs, from, returns, id, to, message })
    }

    /// Passes the envelope for the recipients at these indices, with or without the sender's requests about
    /// reports.
    ///
    /// # Errors
    /// [`Error::Argument`] if the file has an invalid address or request. Those of `act`.
    pub(super) fn with_envelope<T>(
        &self,
        places: &[usize],
        asks: bool,
        act: impl FnOnce(&Envelope<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let address = |text| address(text).map_err(Error::argument("an address in the queue"));
        let to: Vec<_> = places.iter().filter_map(|place| self.to.get(*place)).collect();
        let from = (!self.from.is_empty()).then(|| address(&self.from)).transpose()?;
        let paths = to.iter().map(|to| address(&to.path)).collect::<Result<Vec<_>, _>>()?;
        let envelope = Envelope::new(from, &paths).map_err(Error::argument("the envelope"))?;
        let mut envelope = envelope.with_size(self.message.len());
        if self.needs.eight_bit {
            envelope = envelope.with_eight_bit();
        }
        if self.needs.utf8 {
            envelope = envelope.with_utf8();
        }
        if self.needs.tls {
            envelope = envelope.with_required_tls();
        }
        // Even an empty request would demand the extension.
        let asks = asks && self.has_requests();
        let each =
            to.into_iter().filter(|_| asks).map(request::asked).collect::<Result<Vec<_>, _>>();
        let invalid = Error::argument("a request for reports in the queue");
        let each = each.map_err(&invalid)?;
        if asks {
            envelope = envelope.with_dsn(self.request(&each).map_err(invalid)?);
        }
        act(&envelope)
    }
}

/// An address in ASCII, or an international one.
fn address(text: &str) -> Result<Address<'_>, ArgumentError> {
    if text.is_ascii() { Address::new(text) } else { Address::international(text) }
}

#[cfg(test)]
mod tests {
    use starttls::mail::dsn::{Notify, OriginalRecipient};

    use super::*;

    #[test]
    fn files_are_read_as_they_were_written() {
        let to = ["a@b.test", "ä@b.test"].map(|to| address(to).expect("an address"));
        for from in [None, Some(address("me@b.test").expect("an address"))] {
            let envelope = Envelope::new(from, &to).expect("recipients").with_eight_bit();
            for message in [&b"x\r\n\r\ny\n\n"[..], b"", b"\n\n", b"\xff"] {
                let stored = Stored::new(&envelope, message, 7);
                let file = [stored.head().as_bytes(), message].concat();
                assert_eq!(Stored::parse(&file).as_ref(), Some(&stored));
                let read = stored.with_envelope(&[1], true, |one| {
                    assert_eq!((one.from(), one.to()), (from, &to[1..]));
                    assert!(one.is_eight_bit() && one.is_utf8());
                    Ok(())
                });
                read.expect("valid addresses");
                for cut in 0..stored.head().len() - 1 {
                    assert_eq!(Stored::parse(&file[..cut]), None, "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn requests_are_kept_for_the_recipients_of_a_part() {
        let to = ["a@b.test", "c@b.test", "d@b.test"].map(|to| address(to).expect("an address"));
        let original = OriginalRecipient::new("rfc822", Xtext::new("x+2By@b.test").expect("xtext"));
        let nothing = dsn::Recipient::NOTHING;
        let each = [
            nothing.with_notify(Notify::NEVER),
            nothing.with_original(original.expect("valid")).expect("short"),
            nothing,
        ];
        let id = Xtext::new("order+2B7").expect("xtext");
        let request = Request::NOTHING.with_returns(Return::Headers).with_id(id).expect("short");
        let envelope = Envelope::new(None, &to).expect("recipients");
        let stored = Stored::new(&envelope.with_dsn(request.with_each(&each)), b"x", 7);
        let head = "starttls-queue 2\nsince 7\nneeds\nfrom \nreturns headers\nid order+2B7\n\
                    to a@b.test\nnotify never\nto c@b.test\noriginal rfc822;x+2By@b.test\n\
                    to d@b.test\n\n";
        assert_eq!(stored.head(), head);
        let file = [head.as_bytes(), b"x"].concat();
        assert_eq!(Stored::parse(&file).as_ref(), Some(&stored));
        let read = stored.with_envelope(&[1, 2], true, |part| {
            assert_eq!(part.to(), &to[1..]);
            assert_eq!(part.dsn(), request.with_each(&each[1..]));
            Ok(())
        });
        read.expect("valid requests");
        let read = stored.with_envelope(&[0], false, |part| {
            assert_eq!(*part, Envelope::new(None, &to[..1]).expect("a recipient").with_size(1));
            Ok(())
        });
        read.expect("a valid address");
        // Requests for all recipients are those of each.
        let all = Request::NOTHING.with_notify(Notify::SUCCESS);
        let stored = Stored::new(&envelope.with_dsn(all), b"x", 7);
        assert!(stored.to.iter().all(|to| to.notify == Some(Notify::SUCCESS)));
        // An empty request demands nothing, and an older program reads the file.
        let stored = Stored::new(&envelope.with_dsn(Request::NOTHING), b"x", 7);
        assert!(stored.head().starts_with(FORMAT));
    }

    /// The first version has no requests, and a file that has is damaged.
    #[test]
    fn requests_need_the_second_version() {
        for line in ["returns full", "id x", "notify never", "original rfc822;a@b"] {
            let rest = format!("since 1\nneeds\nfrom \nto a@b.test\n{line}\n\nx");
            assert!(Stored::parse(format!("{WITH_REQUESTS}\n{rest}").as_bytes()).is_some());
            assert!(Stored::parse(format!("{FORMAT}\n{rest}").as_bytes()).is_none(), "{line}");
        }
        for line in ["returns hdrs", "id", "notify", "notify often", "reply x"] {
            let file = format!("{WITH_REQUESTS}\nsince 1\nneeds\nfrom \nto a@b\n{line}\n\nx");
            assert_eq!(Stored::parse(file.as_bytes()), None, "{line}");
        }
        let file = format!("{WITH_REQUESTS}\nsince 1\nneeds\nfrom \nnotify never\nto a@b\n\nx");
        assert_eq!(Stored::parse(file.as_bytes()), None, "a request before its recipient");
        for line in ["id x y", "original rfc822"] {
            let file = format!("{WITH_REQUESTS}\nsince 1\nneeds\nfrom \nto a@b\n{line}\n\nx");
            let stored = Stored::parse(file.as_bytes()).expect("a mail");
            let error = stored.with_envelope(&[0], true, |_| Ok(())).expect_err("it is invalid");
            let error = error.to_string();
            assert!(error.starts_with("a request for reports in the queue"), "{error}");
        }
    }
}
