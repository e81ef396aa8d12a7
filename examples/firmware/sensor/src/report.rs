use core::fmt::Write as _;

use heapless::String;
use starttls::ArgumentError;
use starttls::mail::message::{Attachment, Date, Header, Mailbox};
use starttls::mail::{Address, Envelope, Message};
use starttls::smtp::Domain;

use crate::{Readings, Settings};

const FILES: [Attachment<'static>; 1] = [match Attachment::new("text/csv", "readings.csv") {
    Ok(file) => file,
    Err(_) => panic!("not an attachment"),
}];
const HEADERS: [Header<'static>; 1] = [match Header::new("Auto-Submitted", "auto-generated") {
    Ok(header) => header,
    Err(_) => panic!("not a header"),
}];

/// The sensor's daily mail. It owns what [`Message`] and [`Envelope`] borrow.
#[derive(Debug)]
pub struct Report<'s> {
    from: Mailbox<'s>,
    to: [Mailbox<'s>; 1],
    recipients: [Address<'s>; 1],
    now: u64,
    id: String<48>,
    subject: String<32>,
    text: String<160>,
}

impl<'s> Report<'s> {
    /// The sensor's name in `EHLO`.
    pub const NAME: Domain<'static> = match Domain::new("sensor.example.test") {
        Ok(name) => name,
        Err(_) => panic!("not a name"),
    };

    /// The report at this time, in seconds since 1970.
    ///
    /// # Errors
    /// If an address is invalid, or the time is after the year 9999.
    pub fn new(settings: &Settings<'s>, now: u64) -> Result<Self, ArgumentError> {
        let (from, to) = (Address::new(settings.from)?, Address::new(settings.to)?);
        Date::utc(now)?;
        let tenths = Readings::celsius(now);
        let (whole, tenth) = (tenths / 10, tenths % 10);
        let (mut id, mut subject, mut text) = (String::new(), String::new(), String::new());
        write!(id, "{now}@{}", Self::NAME.as_str())
            .and_then(|()| write!(subject, "{whole},{tenth} °C at the gate"))
            .and_then(|()| {
                write!(
                    text,
                    "It is {whole}.{tenth} degrees.\n\n\
                     The readings of the last day are attached,\n\
                     in seconds since 1970 and degrees Celsius.\n"
                )
            })
            .map_err(|_| ArgumentError::TooLong)?;
        Ok(Self {
            from: Mailbox::named("Sensor 7 — gate", from)?,
            to: [Mailbox::new(to)],
            recipients: [to],
            now,
            id,
            subject,
            text,
        })
    }

    /// The mail, ready for composition. Its only attachment is [`Self::readings`].
    ///
    /// # Errors
    /// None for a report that [`Self::new`] made.
    pub fn message(&self) -> Result<Message<'_>, ArgumentError> {
        Ok(Message::new(self.from, &self.to)
            .with_subject(&self.subject)?
            .with_date(Date::utc(self.now)?)
            .with_id(&self.id)?
            .with_headers(&HEADERS)
            .with_text(&self.text)
            .with_attachments(&FILES))
    }

    /// The sender and the recipient.
    ///
    /// # Errors
    /// None: there is one recipient.
    pub fn envelope(&self) -> Result<Envelope<'_>, ArgumentError> {
        Envelope::new(Some(self.from.address()), &self.recipients)
    }

    /// The attached file.
    #[must_use]
    pub fn readings(&self) -> Readings {
        Readings::until(self.now)
    }
}
