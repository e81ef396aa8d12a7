//! Many mails on disk: a directory of .eml files, a Maildir, or an mbox file.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use mail_parser::mailbox::mbox::MessageIterator;
use mail_parser::{HeaderName, MessageParser};

use crate::outcome::Failure;

/// A name and the octets of each mail.
pub(crate) type Mails<'a> = Box<dyn Iterator<Item = (String, io::Result<Vec<u8>>)> + 'a>;

/// Where many mails are.
#[derive(Debug)]
pub(crate) enum Mailbox {
    /// A mail each, in the order in which they are sent.
    Files(Vec<PathBuf>),
    /// RFC 4155, with `From ` quoted the reversible way (mboxrd): of `>From ` and `>>From ` at the
    /// start of a line one `>` is taken away.
    Mbox(PathBuf),
}

impl Mailbox {
    /// `None` if there is a single message at `path`, or it can be read but once.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>, Failure> {
        let failed = |error| Failure::local(format!("{}: {error}", path.display()));
        if path.as_os_str() == "-" {
            return Ok(None);
        }
        let kind = fs::metadata(path).map_err(failed)?;
        if kind.is_dir() {
            let files = files(path).map_err(failed)?;
            if files.is_empty() {
                let what = "no .eml file, and no mail in new or cur";
                return Err(failed(io::Error::new(io::ErrorKind::NotFound, what)));
            }
            return Ok(Some(Self::Files(files)));
        }
        // No header field begins like that.
        let mut start = Vec::new();
        if kind.is_file() {
            File::open(path).and_then(|f| f.take(5).read_to_end(&mut start)).map_err(failed)?;
        }
        Ok((start == b"From ").then(|| Self::Mbox(path.to_owned())))
    }

    /// How much there is to do: files, or octets.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Files(files) => files.len() as u64,
            Self::Mbox(path) => fs::metadata(path).map_or(0, |file| file.len()),
        }
    }

    /// Each mail's name and octets, one in memory at a time; `bar` is moved as they are read.
    pub(crate) fn mails<'a>(&'a self, bar: &'a ProgressBar) -> io::Result<Mails<'a>> {
        Ok(match self {
            Self::Files(files) => Box::new(files.iter().map(|path| {
                bar.inc(1);
                (path.display().to_string(), fs::read(path))
            })),
            Self::Mbox(path) => {
                let reader = BufReader::new(bar.wrap_read(File::open(path)?));
                let mails = MessageIterator::new(reader).enumerate();
                Box::new(mails.map(move |(n, mail)| {
                    let mail = mail.map(|mail| without_separator(mail.unwrap_contents()));
                    (format!("{}#{}", path.display(), n + 1), mail)
                }))
            }
        })
    }
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let list = |directory: &Path, wanted: &dyn Fn(&Path) -> bool| -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if wanted(&path) && fs::metadata(&path)?.is_file() {
                files.push(path);
            }
        }
        Ok(files)
    };
    let hidden =
        |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes()[0] == b'.');
    let mut all = list(directory, &|path| {
        !hidden(path) && path.extension().is_some_and(|end| end.eq_ignore_ascii_case("eml"))
    })?;
    for part in ["new", "cur"].map(|part| directory.join(part)) {
        if part.is_dir() {
            all.extend(list(&part, &|path| !hidden(path))?);
        }
    }
    all.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(all)
}

/// The blank line in front of the next `From ` is the mailbox's.
fn without_separator(mut mail: Vec<u8>) -> Vec<u8> {
    for blank in [&b"\r\n\r\n"[..], b"\n\n"] {
        if mail.ends_with(blank) {
            mail.truncate(mail.len() - blank.len() / 2);
            break;
        }
    }
    mail
}

/// A message and what its header says of its way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) from: Option<String>,
    pub(crate) to: Vec<String>,
    /// Without its `Bcc` fields.
    pub(crate) message: Vec<u8>,
}

impl Letter {
    /// The sender is `Sender`, else the first of `From`; recipients are those of `To`, `Cc` and
    /// `Bcc` (RFC 5322 §3.6.2, 3.6.3), each once.
    pub(crate) fn read(mut message: Vec<u8>) -> Self {
        let (mut sender, mut from, mut to) = (None, None, Vec::new());
        let mut secret = Vec::new();
        if let Some(parsed) = MessageParser::new().with_address_headers().parse_headers(&message) {
            for header in parsed.headers() {
                if matches!(header.name, HeaderName::Bcc | HeaderName::ResentBcc) {
                    secret.push(header.offset_field as usize..header.offset_end as usize);
                }
                let addresses = header.value.as_address().into_iter().flat_map(|list| list.iter());
                let mut addresses = addresses.filter_map(|one| one.address().map(str::to_owned));
                match header.name {
                    HeaderName::Sender => sender = sender.or_else(|| addresses.next()),
                    HeaderName::From => from = from.or_else(|| addresses.next()),
                    HeaderName::To | HeaderName::Cc | HeaderName::Bcc => {
                        for address in addresses {
                            if !to.contains(&address) {
                                to.push(address);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        for range in secret.into_iter().rev() {
            message.drain(range);
        }
        Self { from: sender.or(from), to, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_from_a_header() {
        let text = "Received: x\r\nFrom: Me <me@a.test>\r\nTO: \"You, there\" <you@b.test>,\r\n \
            list: one@c.test, two@c.test;\r\nBcc: hidden@d.test,\r\n\talso@d.test\r\nCc: you@b.test\r\n\
            Subject: x\r\nbcc: third@d.test\r\n\r\nBcc: not a header\r\n";
        let letter = Letter::read(text.into());
        assert_eq!(letter.from.as_deref(), Some("me@a.test"));
        let to = ["you@b.test", "one@c.test", "two@c.test", "hidden@d.test", "also@d.test"];
        assert_eq!(letter.to, [&to[..], &["third@d.test"]].concat());
        let left = String::from_utf8(letter.message).expect("UTF-8");
        let hidden = ["Bcc: hidden@d.test,\r\n\talso@d.test\r\n", "bcc: third@d.test\r\n"];
        assert_eq!(left, text.replace(hidden[0], "").replace(hidden[1], ""));
        assert!(!left.contains("d.test"), "{left}");

        let letter = Letter::read(b"Sender: s@a.test\nFrom: f@a.test\n\n".to_vec());
        assert_eq!(letter.from.as_deref(), Some("s@a.test"));
        for nothing in ["", "\r\n", "no header at all", "\u{0}"] {
            let letter = Letter::read(nothing.into());
            assert_eq!((letter.from, letter.to, letter.message), (None, vec![], nothing.into()));
        }
    }

    #[test]
    fn an_mbox_is_read_mail_by_mail() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = "From a@b Thu Jan  1 00:00:00 1970\nSubject: 1\n\n>From here\n>>From there\n\n\
            From a@b Thu Jan  1 00:00:00 1970\nSubject: 2\n\n\nFrom c\nSubject: 3\n\nend";
        fs::write(file.path(), text).expect("written");
        let mailbox = Mailbox::find(file.path()).expect("readable").expect("an mbox");
        let bar = ProgressBar::hidden();
        let mails: Vec<String> = mailbox
            .mails(&bar)
            .expect("readable")
            .map(|(_, mail)| String::from_utf8(mail.expect("readable")).expect("UTF-8"))
            .collect();
        assert_eq!(
            mails,
            ["Subject: 1\n\nFrom here\n>From there\n", "Subject: 2\n\n", "Subject: 3\n\nend"]
        );
        assert_eq!(bar.position(), mailbox.length());
    }
}
