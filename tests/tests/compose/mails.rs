//! Arbitrary messages, and their composed form.

use proptest::prelude::*;
use serde::Serialize;
use starttls::mail::message::{
    Alternative, Attachment, Composer, Date, Encoding, Forwarded, Header, Inline, Inspected,
    Mailbox, Parts, Progress,
};
use starttls::mail::{Address, Message};

/// The input of a message.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mail {
    pub(crate) from: Person,
    pub(crate) reply_to: Vec<Person>,
    pub(crate) to: Vec<Person>,
    pub(crate) cc: Vec<Person>,
    pub(crate) subject: String,
    pub(crate) date: Option<(u64, i16)>,
    pub(crate) id: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) alternatives: Vec<Other>,
    pub(crate) inline: Vec<Shown>,
    pub(crate) files: Vec<File>,
    pub(crate) forwarded: Vec<File>,
    pub(crate) eight_bit: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Person {
    pub(crate) name: Option<String>,
    pub(crate) address: String,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct File {
    pub(crate) content_type: String,
    pub(crate) name: String,
    pub(crate) octets: Vec<u8>,
}

/// Another form of the text.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Other {
    pub(crate) content_type: String,
    /// The `METHOD` of a calendar.
    pub(crate) method: Option<String>,
    pub(crate) text: String,
}

/// A file that the HTML shows.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) file: File,
}

/// The text that the recipient reads, with LF.
pub(crate) fn text_lines(text: &str) -> String {
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

impl File {
    fn attachment(&self) -> Attachment<'_> {
        let attachment = Attachment::new(&self.content_type, &self.name);
        attachment.expect("an attachment").with_size(self.octets.len())
    }

    fn forwarded(&self) -> Forwarded<'_> {
        let inspected = Inspected::new(&self.octets).expect("a message");
        Forwarded::new(&self.name, inspected).expect("a name")
    }
}

impl Other {
    fn alternative(&self) -> Alternative<'_> {
        let alternative = match (&*self.content_type, &self.method) {
            ("text/html", None) => Ok(Alternative::html(&self.text)),
            (_, Some(_)) => Alternative::calendar(&self.text),
            (other, None) => Alternative::new(other, &self.text),
        };
        alternative.expect("an alternative")
    }
}

impl Mail {
    /// A mail without anything but an author.
    pub(crate) fn empty() -> Self {
        Self {
            from: Person { name: None, address: "a@b.example".into() },
            reply_to: Vec::new(),
            to: Vec::new(),
            cc: Vec::new(),
            subject: String::new(),
            date: None,
            id: None,
            headers: Vec::new(),
            text: String::new(),
            alternatives: Vec::new(),
            inline: Vec::new(),
            files: Vec::new(),
            forwarded: Vec::new(),
            eight_bit: false,
        }
    }

    /// The types and texts of all forms of the text, in their order, with LF.
    pub(crate) fn texts(&self) -> Vec<(&str, String)> {
        let others = self.alternatives.iter();
        let others = others.map(|other| (&*other.content_type, text_lines(&other.text)));
        // An empty text is left out if there is another form.
        let own = self.alternatives.is_empty() || !self.text.is_empty();
        let own = own.then(|| ("text/plain", text_lines(&self.text)));
        own.into_iter().chain(others).collect()
    }

    /// All files, in their order.
    fn all_files(&self) -> impl Iterator<Item = &File> {
        let inline = self.inline.iter().map(|shown| &shown.file);
        inline.chain(&self.files).chain(&self.forwarded)
    }

    /// Passes it to `use_` as a message.
    pub(crate) fn with<T>(&self, use_: impl FnOnce(&Message<'_>) -> T) -> T {
        let address = |person: &Person| Address::international(&person.address).map(drop);
        for person in [&self.from].into_iter().chain(&self.to) {
            assert_eq!(address(person), Ok(()), "{}", person.address);
        }
        let lists = [&self.reply_to, &self.to, &self.cc].map(|list| mailboxes(list));
        let [reply_to, to, cc] = &lists;
        let from = mailboxes(std::slice::from_ref(&self.from));
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, text)| Header::new(name, text).expect("a header"))
            .collect();
        let attachments: Vec<_> = self.files.iter().map(File::attachment).collect();
        let alternatives: Vec<_> = self.alternatives.iter().map(Other::alternative).collect();
        let inline = self.inline.iter();
        let inline: Vec<_> = inline
            .map(|shown| Inline::new(shown.file.attachment(), &shown.id).expect("an id"))
            .collect();
        let forwarded: Vec<_> = self.forwarded.iter().map(File::forwarded).collect();
        let parts = Parts::new().with_alternatives(&alternatives).expect("not many");
        let parts = parts.with_inline(&inline).with_forwarded(&forwarded);
        let encoding = if self.eight_bit { Encoding::EightBit } else { Encoding::SevenBit };
        let mut message = Message::new(from[0], to)
            .with_reply_to(reply_to)
            .with_cc(cc)
            .with_subject(&self.subject)
            .expect("a subject")
            .with_headers(&headers)
            .with_text(&self.text)
            .with_attachments(&attachments)
            .with_encoding(encoding);
        // Without parts it is printed by other functions.
        if !(alternatives.is_empty() && inline.is_empty() && forwarded.is_empty()) {
            message = message.with_parts(&parts);
        }
        if let Some((unix, offset)) = self.date {
            message = message.with_date(Date::new(unix, offset).expect("a date"));
        }
        if let Some(id) = &self.id {
            message = message.with_id(id).expect("an id");
        }
        use_(&message)
    }

    pub(crate) fn composed(&self) -> Vec<u8> {
        self.composed_with(|| 4096, || usize::MAX)
    }

    /// Composes it into outputs of these sizes, with attachments in pieces of these sizes.
    pub(crate) fn composed_with(
        &self,
        room: impl FnMut() -> usize,
        cut: impl FnMut() -> usize,
    ) -> Vec<u8> {
        self.with(|message| self.compose(message, room, cut))
    }

    /// Composes a message with the files of this one.
    pub(crate) fn compose(
        &self,
        message: &Message<'_>,
        mut room: impl FnMut() -> usize,
        mut cut: impl FnMut() -> usize,
    ) -> Vec<u8> {
        let (mut composer, mut all) = (message.compose(), Vec::new());
        loop {
            let mut output = vec![0; room()];
            match composer.step(&mut output).expect("room") {
                Progress::Write(n) => {
                    assert_ne!(n, 0);
                    all.extend_from_slice(&output[..n]);
                }
                Progress::Attachment(index) => {
                    let file = self.all_files().nth(index).expect("a file");
                    let mut rest = &file.octets[..];
                    while !rest.is_empty() {
                        let (piece, after) = rest.split_at(cut().min(rest.len()));
                        attach(&mut composer, piece, &mut room, &mut all);
                        rest = after;
                    }
                    composer.end_attachment().expect("asked");
                }
                Progress::Done => return all,
            }
        }
    }
}

fn attach(
    composer: &mut Composer<'_>,
    mut piece: &[u8],
    room: &mut impl FnMut() -> usize,
    all: &mut Vec<u8>,
) {
    while !piece.is_empty() {
        let mut output = vec![0; room()];
        let n = composer.attach(&mut piece, &mut output).expect("asked");
        all.extend_from_slice(&output[..n]);
    }
}

fn mailboxes(people: &[Person]) -> Vec<Mailbox<'_>> {
    let mailbox = |person| {
        let Person { name, address }: &Person = person;
        let address = Address::international(address).expect("an address");
        name.as_ref()
            .map_or(Mailbox::new(address), |name| Mailbox::named(name, address).expect("a name"))
    };
    people.iter().map(mailbox).collect()
}

/// One line of text, in which everything special to a parser is likely.
pub(crate) fn line() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => "[A-Za-z0-9]{1,12}",
        6 => Just(" ".to_string()),
        2 => prop::sample::select(vec![
            "\"", "\\", "=?utf-8?q?x?=", "?=", "=", "_", "<a@b>", ",", ";", ":", "(c)", "[d]", ".",
            "@", "'", "%41", "''", "\\\"", "*", "  ", "?", "/", "=_", "--",
        ]).prop_map(str::to_string),
        2 => prop::sample::select(vec![
            "ä", "Grüße", "°", "日本語", "Привет", "😀", "👩‍👩‍👧", "e\u{301}", "שלום", "\u{a0}", "€",
        ]).prop_map(str::to_string),
        1 => "[!-~]{50,90}",
        1 => "[ä-ÿ一-十😀-😎]{10,60}",
    ];
    let parts = prop_oneof![4 => 1..6_usize, 1 => 6..25_usize];
    parts.prop_flat_map(move |parts| prop::collection::vec(part.clone(), parts)).prop_map(|parts| {
        let mut line = parts.concat();
        let mut end = line.len().min(250);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line
    })
}

/// ASCII words with one space between them.
fn words() -> impl Strategy<Value = String> {
    prop::collection::vec("[!-~]{1,20}", 1..20).prop_map(|words| words.join(" "))
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-z0-9+_]{1,12}(\\.[a-z]{1,8}){0,2}@[a-z]{1,9}(\\.[a-z]{2,9}){1,3}",
        1 => "\"[a-z<>,;@(]{1,9}( [a-z]|\\\\\")\"@example\\.org",
        1 => "[a-z]{60}@[a-z]{60}\\.[a-z]{60}\\.example",
        1 => Just("a@[192.0.2.1]".to_string()),
    ]
}

fn person() -> impl Strategy<Value = Person> {
    (prop::option::of(line()), address()).prop_map(|(name, address)| Person { name, address })
}

fn people() -> impl Strategy<Value = Vec<Person>> {
    prop::collection::vec(person(), 0..4)
}

fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => line(),
        6 => prop::sample::select(vec!["\n", "\r\n", "\r", "\n\n"]).prop_map(str::to_string),
        1 => prop::sample::select(vec![
            "\n.\n", "\n..\r\n", "\nFrom a\n", " \n", "\t\n", "\n--=_\n", "\n--=_--\n", "\0", "\x1b",
            "\x0b", "\x7f", "\u{85}", "\u{2028}", "\n-- \n",
        ]).prop_map(str::to_string),
        1 => "[a-z ]{70,82}",
        1 => prop::sample::select(vec![76, 77, 78, 79, 997, 998, 999, 3000])
            .prop_map(|n| "x".repeat(n)),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

fn file() -> impl Strategy<Value = File> {
    let types = ["image/jpeg", "text/csv; charset=utf-8", "application/octet-stream"];
    let content_type = prop::sample::select(types.to_vec()).prop_map(str::to_string);
    let octets = prop_oneof![
        1 => Just(Vec::new()),
        4 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::sample::select(vec![56, 57, 58, 114]).prop_map(|n| vec![b'\n'; n]),
    ];
    (content_type, line(), octets).prop_map(|(content_type, name, octets)| File {
        content_type,
        name,
        octets,
    })
}

fn id() -> impl Strategy<Value = String> {
    "[a-z0-9.]{0,20}[a-z]@[a-z]{1,9}\\.example"
        .prop_filter("an id", |id: &String| Address::new(id).is_ok())
}

fn other() -> impl Strategy<Value = Other> {
    let other = |content_type: &str, method: Option<String>, text| Other {
        content_type: content_type.to_string(),
        method,
        text,
    };
    prop_oneof![
        4 => text().prop_map(move |text| other("text/html", None, format!("<p>{text}</p>"))),
        1 => (text(), "(REQUEST|X-[A-Z]{1,38})").prop_map(move |(text, method)| {
            let event = format!("BEGIN:VEVENT\nSUMMARY:{text}\nEND:VEVENT\nEND:VCALENDAR");
            let calendar = format!("BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:{method}\n{event}");
            other("text/calendar", Some(method), calendar)
        }),
        1 => text().prop_map(move |text| other("text/enriched", None, text)),
    ]
}

/// Messages to forward: some have our boundaries, in their parts or in their lines.
fn original() -> impl Strategy<Value = File> {
    let line = prop_oneof![
        4 => line(),
        1 => prop::sample::select(vec![
            "--=_m", "--=_m--", "--=_1m", "--=_20a--", "--=_", "--=", "--=_r ", "", ".",
        ]).prop_map(str::to_string),
    ];
    let by_hand = prop::collection::vec(line, 0..6).prop_map(|lines| {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        format!("Subject: by hand\r\n\r\n{lines}").into_bytes()
    });
    let composed = (text(), prop::collection::vec(file(), 0..2), prop::option::of(other()));
    let composed = composed.prop_map(|(text, files, other)| {
        let alternatives = Vec::from_iter(other);
        Mail { text, files, alternatives, ..Mail::empty() }.composed()
    });
    let octets = prop_oneof![by_hand, composed];
    // Readers take a message as whole lines.
    (line_of_name(), octets).prop_map(|(name, octets)| File {
        content_type: "message/rfc822".to_string(),
        name,
        octets,
    })
}

fn line_of_name() -> impl Strategy<Value = String> {
    line().prop_map(|line| format!("{line}.eml").chars().take(60).collect())
}

pub(crate) fn mail() -> impl Strategy<Value = Mail> {
    prop_oneof![plain_mail(), nested_mail()]
}

/// Mails with all kinds of parts.
fn nested_mail() -> impl Strategy<Value = Mail> {
    let inline = (id(), file()).prop_map(|(id, file)| Shown { id, file });
    (
        plain_mail(),
        prop::collection::vec(other(), 0..4),
        prop::collection::vec(inline, 0..3),
        prop::collection::vec(original(), 0..3),
    )
        .prop_map(|(mail, alternatives, inline, forwarded)| Mail {
            alternatives,
            inline,
            forwarded,
            ..mail
        })
}

/// Mails of a text with attachments.
fn plain_mail() -> impl Strategy<Value = Mail> {
    let header = ("X-[A-Za-z-]{1,48}", prop_oneof![2 => words(), 1 => "[ -~]{0,20}[ä-ÿ]{1,60}"]);
    let date = prop::option::of((86_400..253_402_214_400_u64, -1439..1440_i16));
    let id = prop::option::of(id());
    (
        (person(), people(), people(), people()),
        (prop_oneof![1 => Just(String::new()), 6 => line()], date, id),
        prop::collection::vec(header, 0..3),
        (text(), prop::collection::vec(file(), 0..3), any::<bool>()),
    )
        .prop_map(|((from, reply_to, to, cc), (subject, date, id), headers, rest)| {
            let (text, files, eight_bit) = rest;
            let mail = Mail { from, reply_to, to, cc, subject, date, id, ..Mail::empty() };
            Mail { headers, text, files, eight_bit, ..mail }
        })
}
