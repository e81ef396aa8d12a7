//! Files of options: an error names the option and the file, and has advice.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use starttls_std::Error;
use zeroize::Zeroizing;

use crate::outcome::Failure;

/// The longest first line of a password file, in bytes: longer than any password or token that can be sent.
const MAX_PASSWORD: usize = 8192;

/// An option with an unusable file: the reason, in a clause with the file as its subject, and advice.
pub(crate) fn unusable(
    option: &'static str,
    path: &Path,
    why: impl Display,
    advice: &str,
) -> Error {
    let path = path.display();
    let why = match advice {
        "" => format!("{path}: {why}"),
        advice => format!("{path}: {why}. {advice}"),
    };
    Error::Argument { what: option, why }
}

/// An option whose file or directory the system refuses.
pub(crate) fn unreadable(option: &'static str, path: &Path, error: &io::Error) -> Error {
    unusable(option, path, error, advice(error.kind()))
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "Check the path.",
        io::ErrorKind::PermissionDenied => "Give this user access to it.",
        io::ErrorKind::IsADirectory => "Pass a file.",
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "Pass a directory.",
        _ => "",
    }
}

/// A file that does not belong to an option.
pub(crate) fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("{what} {}: {error}", path.display());
    Failure::local(match advice(error.kind()) {
        "" => message,
        advice => format!("{message}. {advice}"),
    })
}

/// The content of an option's file.
pub(crate) fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| unreadable(option, path, &error))
}

/// Advice for PEM files.
pub(crate) const CHAIN: &str =
    "Pass certificates in PEM, which begin with -----BEGIN CERTIFICATE-----.";
pub(crate) const KEY: &str = "Pass the private key in PEM, without a password.";

/// The password or token in the first line of the file of `--password-file`, wiped on drop.
pub(crate) fn password(path: &Path) -> Result<Zeroizing<String>, Failure> {
    const OPTION: &str = "--password-file";
    // A fixed size: a growing buffer would leave copies in freed memory.
    let mut octets = Zeroizing::new(vec![0; MAX_PASSWORD + 2]);
    let mut filled = 0;
    let mut file = File::open(path).map_err(|error| unreadable(OPTION, path, &error))?;
    let line = loop {
        let (read, free) = octets.split_at_mut(filled);
        if let Some(end) = read.iter().position(|octet| *octet == b'\n') {
            break &read[..end];
        }
        match file.read(free) {
            Ok(0) => break &read[..],
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(OPTION, path, &error).into()),
        }
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let bad = |why: &str| {
        let advice = "Put only the password in the first line.";
        Err(Failure::from(unusable(OPTION, path, why, advice)))
    };
    match std::str::from_utf8(line) {
        _ if line.len() > MAX_PASSWORD => bad("its first line is longer than 8,192 bytes"),
        Ok("") => bad("its first line is empty"),
        Ok(line) => Ok(Zeroizing::new(line.to_owned())),
        Err(_) => bad("its first line is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_first_line_and_is_wiped() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let longest = "a".repeat(MAX_PASSWORD);
        for (text, expected) in [
            (&b"passw0rd"[..], Some("passw0rd")),
            (b"pass w0rd \r\nmore\n", Some("pass w0rd ")),
            (b"p\xc3\xa4ss\n\xff", Some("p\u{e4}ss")),
            ([longest.as_bytes(), b"\r\nmore"].concat().as_slice(), Some(&longest[..])),
            ([longest.as_bytes(), b"a\n"].concat().as_slice(), None),
            ([longest.as_bytes(), longest.as_bytes()].concat().as_slice(), None),
            (b"", None),
            (b"\r\npassw0rd", None),
            (b"\xff\n", None),
        ] {
            fs::write(file.path(), text).expect("written");
            // The type wipes it.
            let read: Option<Zeroizing<String>> = password(file.path()).ok();
            assert_eq!(read.as_deref().map(String::as_str), expected, "{}", text.escape_ascii());
        }
    }
}
