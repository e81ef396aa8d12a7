use starttls::mail::dsn::{self, Request};
use starttls::mail::{Address, Envelope};

use crate::Error;

/// Some recipients of a mail, with what the sender asks for on each of them.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    whole: Envelope<'a>,
    to: Vec<Address<'a>>,
    each: Vec<dsn::Recipient<'a>>,
}

impl<'a> Part<'a> {
    /// The recipients at these indices.
    pub(crate) fn new(whole: &Envelope<'a>, places: &[usize]) -> Self {
        let request = whole.dsn();
        let asks = request != Request::NOTHING;
        let to = places.iter().filter_map(|place| whole.to().get(*place).copied()).collect();
        let each = places.iter().filter(|_| asks).map(|place| request.recipient(*place)).collect();
        Self { whole: *whole, to, each }
    }

    /// The envelope with these recipients only.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is none.
    pub(crate) fn envelope(&self) -> Result<Envelope<'_>, Error> {
        let part = self.whole.with_recipients(&self.to);
        let part = part.map_err(Error::argument("the list of recipients"))?;
        // Even an empty request would demand the extension.
        Ok(if self.each.is_empty() {
            part
        } else {
            part.with_dsn(part.dsn().with_each(&self.each))
        })
    }
}
