use alloc::string::String;
use alloc::vec::Vec;

use super::{
    Alternative, Attachment, Date, Encoding, Forwarded, Header, Inline, Inspected, Mailbox,
    Message, Parts, check_id, words,
};
use crate::ArgumentError;
use crate::mail::AddressBuf;

/// A [`Message`] that owns its texts, for a queue. It has the names and types of files, not their bytes.
///
/// ```
/// use starttls::mail::message::{Alternative, Mailbox, Parts};
/// use starttls::mail::{Address, Message, MessageBuf};
///
/// let to = [Mailbox::new(Address::new("you@example.org")?)];
/// let html = [Alternative::html("<p>All is well.</p>\n")];
/// let parts = Parts::new().with_alternatives(&html)?;
/// let queued = MessageBuf::from(&Message::new(to[0], &to).with_parts(&parts));
///
/// let view = queued.view();
/// let parts = view.parts();
/// let message = view.message(&parts);
/// assert!(message.size().is_some_and(|size| size > 100));
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Fields", into = "Fields"))]
pub struct MessageBuf(Fields);

/// What a message consists of. As data it is unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Fields {
    from: Person,
    #[cfg_attr(feature = "serde", serde(default))]
    reply_to: Vec<Person>,
    #[cfg_attr(feature = "serde", serde(default))]
    to: Vec<Person>,
    #[cfg_attr(feature = "serde", serde(default))]
    cc: Vec<Person>,
    #[cfg_attr(feature = "serde", serde(default))]
    subject: String,
    /// Unix time in seconds, and the offset from UTC in minutes.
    #[cfg_attr(feature = "serde", serde(default))]
    date: Option<(u64, i16)>,
    #[cfg_attr(feature = "serde", serde(default))]
    id: Option<String>,
    /// Names and texts.
    #[cfg_attr(feature = "serde", serde(default))]
    headers: Vec<(String, String)>,
    #[cfg_attr(feature = "serde", serde(default))]
    text: String,
    #[cfg_attr(feature = "serde", serde(default))]
    attachments: Vec<File>,
    #[cfg_attr(feature = "serde", serde(default))]
    alternatives: Vec<Other>,
    /// Ids and files.
    #[cfg_attr(feature = "serde", serde(default))]
    inline: Vec<(String, File)>,
    #[cfg_attr(feature = "serde", serde(default))]
    forwarded: Vec<Original>,
    #[cfg_attr(feature = "serde", serde(default))]
    encoding: Encoding,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Person {
    #[cfg_attr(feature = "serde", serde(default))]
    name: Option<String>,
    address: AddressBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct File {
    content_type: String,
    name: String,
    #[cfg_attr(feature = "serde", serde(default))]
    size: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Other {
    content_type: String,
    /// The `METHOD` of a calendar.
    #[cfg_attr(feature = "serde", serde(default))]
    method: Option<String>,
    text: String,
}

/// A forwarded message. Wrong results of its inspection cannot do harm: its bytes are checked again when they
/// are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Original {
    name: String,
    size: usize,
    level: u16,
    eight_bit: bool,
    international: bool,
}

impl MessageBuf {
    /// The lists that a [`Message`] borrows.
    #[must_use]
    pub fn view(&self) -> MessageView<'_> {
        let fields = &self.0;
        MessageView {
            fields,
            reply_to: fields.reply_to.iter().map(Person::view).collect(),
            to: fields.to.iter().map(Person::view).collect(),
            cc: fields.cc.iter().map(Person::view).collect(),
            headers: fields.headers.iter().map(|(name, text)| Header { name, text }).collect(),
            attachments: fields.attachments.iter().map(File::view).collect(),
            alternatives: fields.alternatives.iter().map(Other::view).collect(),
            inline: fields
                .inline
                .iter()
                .map(|(id, file)| Inline { file: file.view(), id })
                .collect(),
            forwarded: fields.forwarded.iter().map(Original::view).collect(),
        }
    }
}

/// The lists that a [`Message`] borrows from a [`MessageBuf`].
#[derive(Debug)]
pub struct MessageView<'a> {
    fields: &'a Fields,
    reply_to: Vec<Mailbox<'a>>,
    to: Vec<Mailbox<'a>>,
    cc: Vec<Mailbox<'a>>,
    headers: Vec<Header<'a>>,
    attachments: Vec<Attachment<'a>>,
    alternatives: Vec<Alternative<'a>>,
    inline: Vec<Inline<'a>>,
    forwarded: Vec<Forwarded<'a>>,
}

impl MessageView<'_> {
    /// The parts, for [`message`](Self::message).
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        // As many as a message may have: they came from one.
        let parts = Parts::new().with_alternatives(&self.alternatives).unwrap_or_default();
        parts.with_inline(&self.inline).with_forwarded(&self.forwarded)
    }

    /// The message, with its [parts](Self::parts).
    #[must_use]
    pub fn message<'v>(&'v self, parts: &'v Parts<'v>) -> Message<'v> {
        let fields = self.fields;
        let is_nested = parts.files() > 0 || !parts.alternatives().is_empty();
        Message {
            from: fields.from.view(),
            reply_to: &self.reply_to,
            to: &self.to,
            cc: &self.cc,
            subject: &fields.subject,
            date: fields.date.and_then(|(unix, offset)| Date::new(unix, offset).ok()),
            id: fields.id.as_deref(),
            headers: &self.headers,
            text: &fields.text,
            attachments: &self.attachments,
            parts: is_nested.then_some(parts),
            encoding: fields.encoding,
        }
    }
}

impl From<&Message<'_>> for MessageBuf {
    fn from(message: &Message<'_>) -> Self {
        let people = |people: &[Mailbox<'_>]| people.iter().map(Person::from).collect();
        let none = Parts::new();
        let parts = message.parts.unwrap_or(&none);
        Self(Fields {
            from: Person::from(&message.from),
            reply_to: people(message.reply_to),
            to: people(message.to),
            cc: people(message.cc),
            subject: message.subject.into(),
            date: message.date.map(|date| (date.unix(), date.offset)),
            id: message.id.map(String::from),
            headers: message
                .headers
                .iter()
                .map(|header| (header.name.into(), header.text.into()))
                .collect(),
            text: message.text.into(),
            attachments: message.attachments.iter().map(File::from).collect(),
            alternatives: parts.alternatives().iter().map(Other::from).collect(),
            inline: parts
                .inline()
                .iter()
                .map(|inline| (inline.id.into(), File::from(&inline.file)))
                .collect(),
            forwarded: parts.forwarded().iter().map(Original::from).collect(),
            encoding: message.encoding,
        })
    }
}

impl Person {
    fn view(&self) -> Mailbox<'_> {
        Mailbox { address: self.address.as_address(), name: self.name.as_deref() }
    }

    fn check(&self) -> Result<(), ArgumentError> {
        let name = self.name.as_deref();
        name.map_or(Ok(()), |name| Mailbox::named(name, self.address.as_address()).map(drop))
    }
}

impl From<&Mailbox<'_>> for Person {
    fn from(mailbox: &Mailbox<'_>) -> Self {
        Self { name: mailbox.name.map(String::from), address: mailbox.address.into() }
    }
}

impl File {
    fn view(&self) -> Attachment<'_> {
        Attachment { content_type: &self.content_type, name: &self.name, size: self.size }
    }

    fn check(&self) -> Result<(), ArgumentError> {
        Attachment::new(&self.content_type, &self.name).map(drop)
    }
}

impl From<&Attachment<'_>> for File {
    fn from(file: &Attachment<'_>) -> Self {
        let Attachment { content_type, name, size } = *file;
        Self { content_type: content_type.into(), name: name.into(), size }
    }
}

impl Other {
    fn view(&self) -> Alternative<'_> {
        let Self { content_type, method, text } = self;
        Alternative { content_type, method: method.as_deref(), text }
    }

    fn check(&self) -> Result<(), ArgumentError> {
        let made = match self.method {
            Some(_) => Alternative::calendar(&self.text),
            None => Alternative::new(&self.content_type, &self.text),
        };
        if made? == self.view() { Ok(()) } else { Err(ArgumentError::Malformed) }
    }
}

impl From<&Alternative<'_>> for Other {
    fn from(alternative: &Alternative<'_>) -> Self {
        let Alternative { content_type, method, text } = *alternative;
        Self {
            content_type: content_type.into(),
            method: method.map(String::from),
            text: text.into(),
        }
    }
}

impl Original {
    fn view(&self) -> Forwarded<'_> {
        let message = Inspected {
            size: self.size,
            level: self.level,
            is_eight_bit: self.eight_bit,
            is_international: self.international,
        };
        Forwarded { name: &self.name, message }
    }

    fn check(&self) -> Result<(), ArgumentError> {
        let forwarded = self.view();
        Forwarded::new(&self.name, forwarded.message).map(drop)
    }
}

impl From<&Forwarded<'_>> for Original {
    fn from(forwarded: &Forwarded<'_>) -> Self {
        let Inspected { size, level, is_eight_bit, is_international } = forwarded.message;
        Self {
            name: forwarded.name.into(),
            size,
            level,
            eight_bit: is_eight_bit,
            international: is_international,
        }
    }
}

impl TryFrom<Fields> for MessageBuf {
    type Error = ArgumentError;

    /// Every value goes through the constructors of the borrowed types, so that no field that was read can end
    /// a line.
    fn try_from(fields: Fields) -> Result<Self, ArgumentError> {
        let lists = [&fields.reply_to, &fields.to, &fields.cc];
        fields.from.check()?;
        lists.into_iter().flatten().try_for_each(Person::check)?;
        words::check(&fields.subject)?;
        fields.id.as_deref().map_or(Ok(()), check_id)?;
        if let Some((unix, offset)) = fields.date {
            Date::new(unix, offset)?;
        }
        for (name, text) in &fields.headers {
            Header::new(name, text)?;
        }
        let inline = fields.inline.iter().map(|(_, file)| file);
        fields.attachments.iter().chain(inline).try_for_each(File::check)?;
        fields.inline.iter().try_for_each(|(id, _)| check_id(id))?;
        fields.alternatives.iter().try_for_each(Other::check)?;
        if fields.alternatives.len() > u8::MAX.into() {
            return Err(ArgumentError::TooLong);
        }
        fields.forwarded.iter().try_for_each(Original::check)?;
        Ok(Self(fields))
    }
}

impl From<MessageBuf> for Fields {
    fn from(message: MessageBuf) -> Self {
        message.0
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for MessageBuf {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.view().format(f);
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for MessageView<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.message(&self.parts()).format(f);
    }
}
