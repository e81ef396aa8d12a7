//! Many mails on disk: a directory of .eml files, a Maildir, or an mbox file.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use crate::files;
use crate::letter::Letter;
use crate::mbox::{Mbox, is_separator};
use crate::message::Source;
use crate::outcome::Failure;

/// The longest line that can separate mails, in bytes.
const MAX_SEPARATOR: u64 = 1024;

/// A name and each mail.
pub(crate) type Mails<'a> = Box<dyn Iterator<Item = (String, io::Result<Letter>)> + 'a>;

/// A source of many mails.
#[derive(Debug)]
pub(crate) enum Mailbox {
    /// Files with one mail each, in sending order.
    Files(Vec<PathBuf>),
    /// One file with all mails.
    Mbox(PathBuf),
}

impl Mailbox {
    /// `None` if `path` is a single message, or can be read only once.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>, Failure> {
        let failed = |error| files::failed("the message", path, &error);
        if path.as_os_str() == "-" {
            return Ok(None);
        }
        let kind = fs::metadata(path).map_err(failed)?;
        if kind.is_dir() {
            let files = files(path).map_err(failed)?;
            if files.is_empty() {
                let what = "contains no .eml file, and no mail in new or cur";
                return Err(Failure::local(format!("{} {what}", path.display())));
            }
            return Ok(Some(Self::Files(files)));
        }
        let mut line = Vec::new();
        if kind.is_file() {
            let file = File::open(path).map_err(failed)?;
            BufReader::new(file)
                .take(MAX_SEPARATOR)
                .read_until(b'\n', &mut line)
                .map_err(failed)?;
        }
        Ok(is_separator(&line).then(|| Self::Mbox(path.to_owned())))
    }

    /// The amount of work: files, or bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Files(files) => files.len() as u64,
            Self::Mbox(path) => fs::metadata(path).map_or(0, |file| file.len()),
        }
    }

    /// Each mail and its name, one in memory at a time; `bar` advances as they are read.
    pub(crate) fn mails<'a>(&'a self, bar: &'a ProgressBar) -> io::Result<Mails<'a>> {
        Ok(match self {
            Self::Files(files) => Box::new(files.iter().map(|path| {
                bar.inc(1);
                (path.display().to_string(), Source::open(path).and_then(Letter::read))
            })),
            Self::Mbox(path) => {
                let reader = BufReader::new(bar.wrap_read(File::open(path)?));
                let name = move |n| format!("{}#{}", path.display(), n + 1);
                let letter = |octets| Letter::read(Source::Memory(octets));
                let mails = Mbox::new(reader).map(move |mail| mail.and_then(letter));
                Box::new(mails.enumerate().map(move |(n, mail)| (name(n), mail)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mbox_is_read_mail_by_mail() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = "From a@b Thu Jan  1 00:00:00 1970\nA: 1\n\n\nFrom c\n\n\
            From - Thu Jan  1 00:00:00 1970\nA: 2\n\nend";
        fs::write(file.path(), text).expect("written");
        let mailbox = Mailbox::find(file.path()).expect("readable").expect("an mbox");
        let bar = ProgressBar::hidden();
        let mails: Vec<String> = mailbox
            .mails(&bar)
            .expect("readable")
            .map(|(_, mail)| mail.and_then(|mail| mail.message.to_bytes()).expect("readable"))
            .map(|mail| String::from_utf8(mail).expect("UTF-8"))
            .collect();
        assert_eq!(mails, ["A: 1\n\n\nFrom c\n", "A: 2\n\nend"]);
        assert_eq!(bar.position(), mailbox.length());
    }

    #[test]
    fn a_message_is_not_an_mbox() {
        for text in [
            "From : A <a@b>\n\nx\n",
            "From here\n",
            "From ",
            "",
            "\nFrom a@b Thu Jan  1 00:00:00 1970\n",
        ] {
            let file = tempfile::NamedTempFile::new().expect("a file");
            fs::write(file.path(), text).expect("written");
            assert!(matches!(Mailbox::find(file.path()), Ok(None)), "{text:?}");
        }
    }
}
